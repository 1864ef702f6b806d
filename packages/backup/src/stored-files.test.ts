import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { crc32c, crc32cHex } from "./crc32c.ts";
import type { FileEntry } from "./manifest.ts";
import { PackWriter } from "./repository/pack.ts";
import { openRepository, type Repository } from "./repository/repository.ts";
import { readStoredFiles, type StoredFiles } from "./stored-files.ts";

const dataKey = { id: "0123456789abcdef", bytes: randomBytes(32) };
let directory: string;
let repository: Repository;
let backup: StoredFiles;
const entries: FileEntry[] = [];
const digests = new Map<string, string>();
const mebibyte = 1024 * 1024;

// More than one pack, and more than what is worth threads: they open it by default.
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "stored-"));
  repository = await openRepository(join(directory, "repository"), { encryptionKey: "3c".repeat(32) });
  const compression = { algorithm: "zstd", level: 1 } as const;
  const packs = new PackWriter(repository.storage, "backup/", { dataKey: dataKey.bytes, compression });
  const sizes = [30 * mebibyte, 5, 41 * mebibyte + 77, 0, mebibyte, 3_000, 2 * mebibyte - 1];
  for (const [index, sizeBytes] of sizes.entries()) {
    // No two mebibytes alike, so that one in another's place is found.
    const content = Buffer.allocUnsafe(sizeBytes);
    for (let at = 0; at < sizeBytes; at += mebibyte)
      content.fill(randomBytes(999), at, Math.min(at + mebibyte, sizeBytes));
    const path = `base/5/${index}`;
    const crc = crc32cHex(crc32c(content));
    const { position } = packs;
    entries.push({ path, type: "file", sizeBytes, position, crc32c: crc, mode: 0o600, mtime: 0, target: "" });
    digests.set(path, createHash("sha256").update(content).digest("hex"));
    await packs.append(content);
  }
  const { position: bytes } = packs;
  backup = {
    manifest: { packs: await packs.finish(), archives: [], compression, objects: [], bytes },
    prefix: "backup/",
    dataKey,
  };
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test.each([undefined, 0, 1, 4])("files written slowly are what was stored, with %s threads", async (workers) => {
  const written = new Map<string, string>();
  await readStoredFiles(
    repository,
    backup,
    entries,
    async ({ path }) => {
      const hash = createHash("sha256");
      return {
        async write(chunk) {
          // A disk that takes its bytes late, when reader and threads had time to fill their memory anew.
          for (let wait = 0; wait < 20; wait++) await turn();
          hash.update(chunk);
        },
        end: async () => void written.set(path, hash.digest("hex")),
        abort: async () => undefined,
      };
    },
    { workers },
  );
  expect(Object.fromEntries(written)).toEqual(Object.fromEntries(digests));
});

test("a file that is not what its index says is a fault, and is never ended as if it were whole", async () => {
  const wrong = entries.map((entry, index) => (index === 2 ? { ...entry, crc32c: "00000000" } : entry));
  const ended: string[] = [];
  const reading = readStoredFiles(repository, backup, wrong, async ({ path }) => ({
    write: async () => undefined,
    end: async () => void ended.push(path),
    abort: async () => undefined,
  }));
  await expect(reading).rejects.toMatchObject({
    code: "BACKUP_CORRUPT",
    message: expect.stringContaining("base/5/2 does not match its checksum") as string,
  });
  expect(ended).not.toContain("base/5/2");
});

test("a write that fails fails the whole, and ends the file that was open", async () => {
  const aborted: string[] = [];
  const reading = readStoredFiles(repository, backup, entries, async ({ path }) => ({
    async write() {
      await turn();
      if (path === "base/5/2") throw new Error("no space left on device");
    },
    end: async () => undefined,
    abort: async () => void aborted.push(path),
  }));
  await expect(reading).rejects.toThrow("no space left on device");
  expect(aborted).toEqual(["base/5/2"]);
});
