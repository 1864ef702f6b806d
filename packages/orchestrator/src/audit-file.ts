import { mkdir, open, rename, rm, truncate } from "node:fs/promises";
import { dirname } from "node:path";
import { AbortedError, systemClock } from "@db/core";

/**
 * Lines appended by any number of processes, one at a time: each append holds a lock file, sees what the others
 * wrote first, and is on disk before it returns.
 */
export interface SharedLines {
  /** Every complete line, after picking up what other processes added. */
  read(): Promise<readonly string[]>;
  /** Appends the line that `make` gives for the lines already there. */
  append(make: (lines: readonly string[]) => string): Promise<void>;
}

const lockWaitMs = 10_000;

export function openSharedLines(file: string): SharedLines {
  const lines: string[] = [];
  let offset = 0;

  // Reads from where the last read ended; a torn last line (a crash mid-append) is left for the next append to mend.
  const refresh = async (): Promise<string> => {
    const handle = await open(file, "r").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (!handle) return "";
    try {
      const { size } = await handle.stat();
      if (size < offset) {
        lines.length = 0;
        offset = 0;
      }
      const buffer = Buffer.alloc(size - offset);
      await handle.read(buffer, 0, buffer.length, offset);
      const end = buffer.lastIndexOf(0x0a) + 1;
      for (const line of buffer.subarray(0, end).toString("utf8").split("\n")) if (line !== "") lines.push(line);
      offset += end;
      return buffer.subarray(end).toString("utf8");
    } finally {
      await handle.close();
    }
  };

  return {
    async read() {
      await refresh();
      return lines;
    },
    async append(make) {
      await mkdir(dirname(file), { recursive: true });
      await withLock(`${file}.lock`, async () => {
        const torn = await refresh();
        // Half a line belongs to an operation that was never acknowledged: kept beside, so that nothing is lost.
        if (torn !== "") {
          await appendDurably(`${file}.torn`, `${torn}\n`);
          await truncate(file, offset);
        }
        await appendDurably(file, `${make(lines)}\n`);
        await refresh();
      });
    },
  };
}

async function appendDurably(file: string, text: string): Promise<void> {
  const handle = await open(file, "a", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function withLock<T>(lock: string, work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + lockWaitMs;
  for (;;) {
    const handle = await open(lock, "wx", 0o600).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") return undefined;
      throw error;
    });
    if (handle) {
      await handle.writeFile(String(process.pid));
      await handle.close();
      break;
    }
    await removeIfStale(lock);
    if (Date.now() > deadline) {
      throw new AbortedError(`the lock file ${lock} was held for ${lockWaitMs} ms`, {
        hint: "Remove it if no process of this project runs.",
      });
    }
    await systemClock.sleep(20);
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

// The holder was killed when its process is gone. Renaming first makes sure that only one waiter takes the lock away.
async function removeIfStale(lock: string): Promise<void> {
  const handle = await open(lock, "r").catch(() => undefined);
  if (!handle) return;
  let pid: number;
  try {
    pid = Number(await handle.readFile("utf8"));
  } finally {
    await handle.close();
  }
  if (!Number.isInteger(pid) || pid <= 0 || isAlive(pid)) return;
  const taken = `${lock}.${process.pid}`;
  await rename(lock, taken).catch(() => undefined);
  await rm(taken, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
