import { rename, stat, truncate } from "node:fs/promises";

const limitBytes = 16 * 1024 * 1024;
const checkMs = 60_000;

/** Puts a log of more than 16 MB aside as `.1`, in place of the one there. For logs nobody writes to. */
export async function rotateLog(logFile: string): Promise<void> {
  const about = await stat(logFile).catch(() => undefined);
  if (about !== undefined && about.size > limitBytes) await rename(logFile, `${logFile}.1`);
}

/**
 * Keeps the logs of running servers within 16 MB by emptying them: the servers append, so they go on at the start.
 * @returns the call that ends the watch
 */
export function watchLogs(logFiles: readonly string[]): () => void {
  const timer = setInterval(() => {
    for (const file of logFiles) {
      void stat(file)
        .then((about) => (about.size > limitBytes ? truncate(file) : undefined))
        .catch(() => undefined);
    }
  }, checkMs);
  timer.unref();
  return () => clearInterval(timer);
}
