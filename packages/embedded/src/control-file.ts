import { open } from "node:fs/promises";
import path from "node:path";

/** What pg_control says of a stopped cluster. */
export interface ControlFile {
  /** Same for a primary and every standby made from it. */
  readonly systemIdentifier: string;
  /** True when the server ended in order, so that its files are complete without recovery. */
  readonly cleanShutdown: boolean;
  readonly timeline: number;
}

/**
 * Reads pg_control; undefined when it is missing or shorter than it should be.
 * @see src/include/catalog/pg_control.h of PostgreSQL: the fields read here stand where they are in 12 to 18
 */
export async function readControlFile(dataDirectory: string): Promise<ControlFile | undefined> {
  const bytes = Buffer.alloc(64);
  try {
    const file = await open(path.join(dataDirectory, "global", "pg_control"), "r");
    try {
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
      if (bytesRead < bytes.length) return undefined;
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
  const state = bytes.readUInt32LE(16);
  // DB_SHUTDOWNED and DB_SHUTDOWNED_IN_RECOVERY.
  return {
    systemIdentifier: bytes.readBigUInt64LE(0).toString(),
    cleanShutdown: state === 1 || state === 2,
    timeline: bytes.readUInt32LE(48),
  };
}
