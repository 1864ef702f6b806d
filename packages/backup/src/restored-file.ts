import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { FileSink } from "./stored-files.ts";

/** Runs work beside what is going on, a bounded number at once, and remembers the first failure. */
export class Background {
  readonly #most: number;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(most: number) {
    this.#most = most;
  }

  /** Begins work once there is room for it. @throws what earlier work threw */
  async add(work: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#most) await Promise.race(this.#running);
    this.#check();
    const running: Promise<void> = work()
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits for everything. @throws what any of it threw */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
    this.#check();
  }

  /** Waits for everything, whatever comes of it. */
  async abandon(): Promise<void> {
    await Promise.all(this.#running);
  }

  #check(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/** How a restored file is written. */
export interface RestoredFileOptions {
  /** Seconds since the epoch; undefined leaves it at now. */
  readonly mtime: number | undefined;
  /** Given once the file is whole; until then it is 0600. */
  readonly mode: number;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly durable: boolean;
  readonly background: Background;
}

// The disk begins while the rest is still being unpacked; at the end little is left to wait for.
const syncEveryBytes = 32 * 1024 * 1024;

/**
 * A new file. Its bytes are given to the system as they come; being durable, owned and dated is seen to in
 * the background once it is whole.
 */
export async function createRestoredFile(path: string, options: RestoredFileOptions): Promise<FileSink> {
  // Exclusive: a path that comes twice, or that somebody made meanwhile, is a fault; and no link is followed.
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY;
  const file = await open(path, flags, 0o600);
  let unsynced = 0;
  let syncing: Promise<void> = Promise.resolve();
  let failure: { readonly error: unknown } | undefined;
  let idle = true;
  const beginSync = (): void => {
    idle = false;
    unsynced = 0;
    syncing = file
      .datasync()
      .catch((error: unknown) => void (failure ??= { error }))
      .finally(() => (idle = true));
  };
  return {
    write: async (chunk) => {
      if (failure) throw failure.error;
      let at = 0;
      while (at < chunk.length) at += (await file.write(chunk, at, chunk.length - at)).bytesWritten;
      unsynced += chunk.length;
      if (options.durable && idle && unsynced >= syncEveryBytes) beginSync();
    },
    end: () =>
      options.background.add(async () => {
        await syncing;
        try {
          if (failure) throw failure.error;
          await finish(file, options);
        } finally {
          await file.close();
        }
      }),
    abort: async () => {
      await syncing;
      await file.close().catch(() => undefined);
    },
  };
}

async function finish(file: FileHandle, { mtime, mode, owner, durable }: RestoredFileOptions): Promise<void> {
  if (mode !== 0o600) await file.chmod(mode);
  if (mtime !== undefined) await file.utimes(mtime, mtime);
  if (owner) await file.chown(owner.uid, owner.gid);
  if (durable) await file.sync();
}
