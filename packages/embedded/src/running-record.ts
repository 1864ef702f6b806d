import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { writeFileDurably } from "./data-directory.ts";
import type { ProcessIdentity } from "./process-identity.ts";

/**
 * What was started and may still run: written before the server starts, so that it is there whatever kills this
 * process, and completed once the server's process is known.
 */
export interface RunningRecord {
  readonly dataDirectory: string;
  readonly port: number;
  /** The process that started it. */
  readonly startedBy: ProcessIdentity;
  /** The server; absent until it was seen. */
  readonly server?: ProcessIdentity;
}

const fileName = "running.json";

/** Reads the record of a cluster's directory; undefined when nothing was started or it cannot be read. */
export async function readRunningRecord(directory: string): Promise<RunningRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(path.join(directory, fileName), "utf8")) as Partial<RunningRecord>;
    return typeof record.dataDirectory === "string" && typeof record.startedBy?.pid === "number"
      ? (record as RunningRecord)
      : undefined;
  } catch {
    return undefined;
  }
}

export async function writeRunningRecord(directory: string, record: RunningRecord, durable: boolean): Promise<void> {
  await writeFileDurably(path.join(directory, fileName), `${JSON.stringify(record)}\n`, 0o600, durable);
}

export async function clearRunningRecord(directory: string): Promise<void> {
  await rm(path.join(directory, fileName), { force: true });
}
