import { access } from "node:fs/promises";
import path from "node:path";
import { AbortedError, messageOf } from "@db/core";
import type { Cluster } from "./cluster.ts";
import { readControlFile } from "./control-file.ts";
import { dataMajorVersion, isComplete } from "./data-directory.ts";

/** How long a replica may take to find its primary once it accepts connections. */
const streamingTimeoutMs = 20_000;

/** Whether a stopped replica could follow this primary, judged by their files: same system, not promoted, not ahead. */
export async function canFollow(directory: string, primary: Cluster): Promise<boolean> {
  if (!(await isComplete(directory))) return false;
  const data = path.join(directory, "data");
  const signalled = await access(path.join(data, "standby.signal")).then(
    () => true,
    () => false,
  );
  const [major, own, other] = await Promise.all([
    dataMajorVersion(data),
    readControlFile(data),
    readControlFile(primary.dataDirectory),
  ]);
  return (
    signalled &&
    major === primary.major &&
    own !== undefined &&
    other !== undefined &&
    own.systemIdentifier === other.systemIdentifier &&
    own.timeline <= other.timeline
  );
}

/** Leaves a stopped primary with complete files, recovering it first when it was killed: a copy needs that. */
export async function settleIn(primary: Cluster): Promise<void> {
  if (!(await primary.isRunning())) {
    if ((await readControlFile(primary.dataDirectory))?.cleanShutdown === true) return;
    await primary.start();
  }
  await primary.stop();
}

/**
 * Starts a replica and waits until it streams.
 * @returns why it cannot follow; undefined when it streams
 * @throws {AbortedError}
 */
export async function startReplica(replica: Cluster, signal: AbortSignal | undefined): Promise<string | undefined> {
  const giveUp = new AbortController();
  const anySignal = AbortSignal.any([giveUp.signal, ...(signal === undefined ? [] : [signal])]);
  let started = false;
  let failure: unknown;
  const starting = replica.start({ signal: anySignal }).then(
    () => (started = true),
    (error: unknown) => (failure = error),
  );
  let deadline = Number.POSITIVE_INFINITY;
  for (;;) {
    if (signal?.aborted) {
      await starting;
      throw new AbortedError("starting a replica was aborted", { cause: signal.reason });
    }
    if (failure !== undefined) return messageOf(failure);
    if (started) deadline = Math.min(deadline, Date.now() + streamingTimeoutMs);
    const { state, reason } = await replica.replicationState();
    // A replica that waits for WAL nobody has any more would not become ready before its time runs out.
    if (state === "streaming" && started) return undefined;
    if (state === "failed" || Date.now() > deadline) {
      giveUp.abort();
      await starting;
      return reason || `not streaming after ${streamingTimeoutMs} ms`;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
