import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkBasebackup } from "../src/basebackup-check.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "bench-check-"));
});
afterEach(() => rm(directory, { recursive: true }));

/** A backup as pg_basebackup leaves it, with these files in the archive and in the manifest. */
async function writeBackup(archived: Record<string, number>, listed: Record<string, number>): Promise<void> {
  const parts = Object.entries(archived).flatMap(([name, size]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
    header.write("0", 156);
    return [header, Buffer.alloc(Math.ceil(size / 512) * 512, "x")];
  });
  await writeFile(join(directory, "base.tar.zst"), zstdCompressSync(Buffer.concat([...parts, Buffer.alloc(1024)])));
  const Files = Object.entries(listed).map(([Path, Size]) => ({ Path, Size }));
  await writeFile(join(directory, "backup_manifest"), JSON.stringify({ Files }));
}

const files = { PG_VERSION: 3, "base/1/1234": 1_000_000, "base/1/empty": 0 };

test("an archive with every file of its manifest is whole", async () => {
  await writeBackup(files, files);
  expect(await checkBasebackup(directory, 1_000_000)).toBeUndefined();
});

test("a missing file, and one of another size, are named", async () => {
  await writeBackup({ PG_VERSION: 3 }, files);
  expect(await checkBasebackup(directory, 0)).toContain("2 files, base/1/1234 first");
  await writeBackup({ ...files, PG_VERSION: 4 }, files);
  expect(await checkBasebackup(directory, 0)).toContain("1 files, PG_VERSION first");
});

test("an archive smaller than the table in it is no backup", async () => {
  await writeBackup({ PG_VERSION: 3 }, { PG_VERSION: 3 });
  expect(await checkBasebackup(directory, 1_000_000)).toContain("3 bytes in all");
});
