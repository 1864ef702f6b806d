import { readFile, rm, stat } from "node:fs/promises";
import type { Account } from "./account.ts";
import { runProgram } from "./program.ts";

/**
 * Removes the shared memory segment a killed server left, which only its next start would. Only a segment that nobody
 * is attached to and that belongs to the server's account: the id may have gone to another program since.
 */
export async function removeSharedMemory(id: number, account: Account | undefined): Promise<void> {
  const table = await readFile("/proc/sysvipc/shm", "utf8").catch(() => "");
  const owner = account?.uid ?? process.getuid?.();
  // Columns: key shmid perms size cpid lpid nattch uid …
  const free = table
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .some((fields) => fields[1] === id && fields[6] === 0 && fields[7] === owner);
  if (free) await runProgram("ipcrm", ["-m", String(id)], { account }).catch(() => undefined);
}

/**
 * The files of POSIX shared memory that processes have mapped: a killed server leaves them, and they are memory until
 * somebody deletes them. On Linux; elsewhere nobody tells, and none are given.
 */
export async function sharedFilesOf(pids: readonly number[]): Promise<ReadonlySet<string>> {
  const maps = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/maps`, "utf8").catch(() => "")));
  return new Set(maps.flatMap((map) => map.match(/\/dev\/shm\/PostgreSQL\.\d+$/gm) ?? []));
}

/** Deletes such files, those of the server's account only. */
export async function removeSharedFiles(files: Iterable<string>, account: Account | undefined): Promise<void> {
  const owner = account?.uid ?? process.getuid?.();
  for (const file of files) {
    if ((await stat(file).catch(() => undefined))?.uid === owner)
      await rm(file, { force: true }).catch(() => undefined);
  }
}
