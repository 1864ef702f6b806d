import { randomUUID } from "node:crypto";
import { open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { identify, isSameProcess, type ProcessIdentity } from "./process-identity.ts";

/** A lock held by this process until released. */
export interface FileLock {
  release(): Promise<void>;
}

/** Who holds a lock. */
export interface LockHolder extends ProcessIdentity {
  readonly token: string;
}

/** How long a lock file may be empty: its maker is between creating and writing it. */
const writingMs = 5_000;

/**
 * Takes a lock file for this process. One left by a process that is gone is taken over; it stays with its holder for
 * as long as exactly that process lives.
 * @returns the lock, or the process that holds it
 */
export async function takeLock(file: string): Promise<FileLock | LockHolder> {
  const self = (await identify(process.pid)) ?? { pid: process.pid, startedAt: "" };
  const own: LockHolder = { ...self, token: randomUUID() };
  const text = JSON.stringify(own);
  for (;;) {
    if (await createWith(file, text)) return heldBy(file, own);
    const holder = await readHolder(file);
    if (holder === "gone") continue;
    if (holder === "writing") return { pid: 0, startedAt: "", token: "" };
    if (holder !== "broken" && (await isSameProcess(holder))) return holder;
    if (await takeOver(file, text, holder === "broken" ? undefined : holder.token)) return heldBy(file, own);
  }
}

/** True for what `takeLock` returns when it got the lock. */
export function isHeld(result: FileLock | LockHolder): result is FileLock {
  return "release" in result;
}

function heldBy(file: string, own: LockHolder): FileLock {
  return {
    release: async () => {
      const holder = await readHolder(file);
      if (typeof holder === "object" && holder.token === own.token) await rm(file, { force: true });
    },
  };
}

async function createWith(file: string, text: string): Promise<boolean> {
  try {
    const handle = await open(file, "wx", 0o644);
    try {
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function readHolder(file: string): Promise<LockHolder | "gone" | "writing" | "broken"> {
  try {
    const holder = JSON.parse(await readFile(file, "utf8")) as Partial<LockHolder>;
    return typeof holder.pid === "number" && typeof holder.token === "string" ? (holder as LockHolder) : "broken";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "gone";
    const about = await stat(file).catch(() => undefined);
    if (about === undefined) return "gone";
    return Date.now() - about.mtimeMs < writingMs ? "writing" : "broken";
  }
}

/**
 * Replaces a stale lock. Two processes may see the same stale one: a second file, created exclusively and held for
 * milliseconds, lets one at a time look again and replace.
 */
async function takeOver(file: string, text: string, staleToken: string | undefined): Promise<boolean> {
  const gate = `${file}.takeover`;
  if (!(await createWith(gate, ""))) {
    const about = await stat(gate).catch(() => undefined);
    // Its maker died within those milliseconds.
    if (about !== undefined && Date.now() - about.mtimeMs > writingMs) await rm(gate, { force: true });
    await new Promise((resolve) => setTimeout(resolve, 20));
    return false;
  }
  try {
    const now = await readHolder(file);
    const token = typeof now === "object" ? now.token : undefined;
    if (now === "gone" || now === "writing" || token !== staleToken) return false;
    const temporary = `${file}.${randomUUID()}`;
    await writeFile(temporary, text);
    await rename(temporary, file);
    return true;
  } finally {
    await rm(gate, { force: true });
  }
}
