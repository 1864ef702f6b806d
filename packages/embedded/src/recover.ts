import { readdir } from "node:fs/promises";
import path from "node:path";
import { findPostmaster, killProcesses, signalProcess, waitForEnd } from "./postmaster.ts";
import { clearRunningRecord, readRunningRecord } from "./running-record.ts";

/** One server that an earlier process left running. */
export interface RecoveredServer {
  /** The cluster's directory. */
  readonly directory: string;
  readonly pid: number;
  /** `stopped` in order, or `killed` because it did not stop in time. */
  readonly outcome: "stopped" | "killed";
}

/**
 * Stops the servers that a killed process left running on the clusters in `directory` (or one level below it), and
 * clears their records. A process is stopped only when it is the recorded one or a postgres on that very data.
 */
export async function recoverClusters(
  directory: string,
  options: { readonly stopTimeoutMs?: number } = {},
): Promise<readonly RecoveredServer[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const homes = [directory, ...entries.filter((e) => e.isDirectory()).map((e) => path.join(directory, e.name))];
  const recovered = await Promise.all(homes.map((home) => recoverOne(home, options.stopTimeoutMs ?? 30_000)));
  return recovered.flat();
}

async function recoverOne(directory: string, stopTimeoutMs: number): Promise<RecoveredServer[]> {
  const record = await readRunningRecord(directory);
  const server = await findPostmaster(record?.dataDirectory ?? path.join(directory, "data"), record?.server);
  let result: RecoveredServer[] = [];
  if (server !== undefined) {
    signalProcess(server.pid, "SIGCONT");
    signalProcess(server.pid, "SIGINT");
    const ended = await waitForEnd([server.pid], stopTimeoutMs);
    if (!ended) await killProcesses(server.pid);
    result = [{ directory, pid: server.pid, outcome: ended ? "stopped" : "killed" }];
  }
  await clearRunningRecord(directory);
  return result;
}
