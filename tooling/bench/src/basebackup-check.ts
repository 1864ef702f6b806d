import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createZstdDecompress } from "node:zlib";

const block = 512;

/** Unpacks a backup in tar format and says what is missing of the files its manifest names. */
export async function checkBasebackup(directory: string, leastBytes: number): Promise<string | undefined> {
  const manifest = JSON.parse(await readFile(join(directory, "backup_manifest"), "utf8")) as {
    Files: { Path: string; Size: number }[];
  };
  const files = await tarEntries(join(directory, "base.tar.zst"));
  const wrong = manifest.Files.filter(({ Path, Size }) => files.get(Path) !== Size);
  if (wrong.length > 0) return `${wrong.length} files, ${wrong[0]?.Path} first, are not as the manifest says`;
  const bytes = files.values().reduce((sum, size) => sum + size, 0);
  return bytes >= leastBytes ? undefined : `${bytes} bytes in all, the table alone has ${leastBytes}`;
}

/** Sizes by name. Names longer than a header holds do not occur in a data directory. */
async function tarEntries(file: string): Promise<Map<string, number>> {
  const entries = new Map<string, number>();
  let kept = Buffer.alloc(0);
  let toSkip = 0;
  for await (const chunk of createReadStream(file).pipe(createZstdDecompress()) as AsyncIterable<Buffer>) {
    let rest = chunk;
    for (;;) {
      const skipped = Math.min(toSkip, rest.length);
      toSkip -= skipped;
      rest = rest.subarray(skipped);
      if (kept.length + rest.length < block) break;
      const header = Buffer.concat([kept, rest.subarray(0, block - kept.length)]);
      rest = rest.subarray(block - kept.length);
      kept = Buffer.alloc(0);
      const name = textOf(header, 0, 100);
      // Two blocks of zeros end the archive.
      if (name === "") continue;
      const size = Number.parseInt(textOf(header, 124, 12), 8);
      if (textOf(header, 156, 1) === "0") entries.set(name, size);
      toSkip = Math.ceil(size / block) * block;
    }
    kept = Buffer.concat([kept, rest]);
  }
  return entries;
}

function textOf(header: Buffer, offset: number, length: number): string {
  return header
    .toString("latin1", offset, offset + length)
    .replace(/\0.*$/s, "")
    .trim();
}
