import { readFile } from "node:fs/promises";
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
