import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { type BackupCompression, resolveBackupOptions } from "./options.ts";
import type { Repository } from "./repository/repository.ts";

const threads = (compression: BackupCompression): number =>
  resolveBackupOptions({ url: "postgres://server/", repository: {} as Repository, compression }).threads;

test("light compression leaves a processor to the thread that reads, all other has them all", () => {
  const all = Math.min(4, availableParallelism());
  const spared = Math.max(1, Math.min(4, availableParallelism() - 1));
  expect(threads({ algorithm: "zstd" })).toBe(spared);
  expect(threads({ algorithm: "zstd", level: 2 })).toBe(spared);
  expect(threads({ algorithm: "none" })).toBe(spared);
  expect(threads({ algorithm: "zstd", level: 3 })).toBe(all);
  expect(threads({ algorithm: "gzip" })).toBe(all);
  expect(threads({ algorithm: "zstd", workers: 7 })).toBe(7);
  expect(threads({ by: "server" })).toBe(0);
});
