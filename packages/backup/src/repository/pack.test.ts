import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { frameBytes } from "./frame.ts";
import { FrameThreads } from "./frame-threads.ts";
import { localStorage } from "./local-storage.ts";
import { PackWriter, readPacks } from "./pack.ts";

test("a piece read by threads stays as it is until the next but one is asked for, from one pack to the next too", async () => {
  const directory = await mkdtemp(join(tmpdir(), "packs-"));
  try {
    const storage = localStorage(directory);
    const dataKey = randomBytes(32);
    const compression = { algorithm: "zstd", level: 1 } as const;
    const writer = new PackWriter(storage, "backup/", { dataKey, compression });
    const contents = [2 * frameBytes + 1_000, 3 * frameBytes, 500].map((bytes) => randomBytes(bytes));
    for (const content of contents) {
      await writer.append(content);
      await writer.cut();
    }
    const packs = await writer.finish();
    expect(packs).toHaveLength(3);
    await using opener = new FrameThreads(2);
    const manifest = { packs, archives: [], compression };
    const parts: Buffer[] = [];
    let before: Buffer | undefined;
    for await (const { bytes } of readPacks(storage, "backup/", manifest, () => true, { dataKey, opener })) {
      // What a file is still being written from.
      if (before) expect(before.equals(parts.at(-1)!)).toBe(true);
      before = bytes;
      parts.push(Buffer.from(bytes));
    }
    expect(before?.equals(parts.at(-1)!)).toBe(true);
    expect(Buffer.concat(parts).equals(Buffer.concat(contents))).toBe(true);
  } finally {
    await rm(directory, { recursive: true });
  }
});
