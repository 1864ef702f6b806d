import { formatDuration, isDbError, messageOf, redactUrls, systemClock } from "@db/core";
import { createPool, type Pool, type PoolOptions, type SlowQuery } from "@db/pool";
import type { Socket } from "node:net";
import { connectionOf, poolOptionsOf } from "../pool-options.ts";
import type { Observed, Subject } from "./recommendation.ts";
import { readSocketTimer, type SocketTimer } from "./socket-timer.ts";

const timerWithinMs = 3_000;
const longestSlowQueryMs = 20_000;
const replicaWithinMs = 10_000;

/** Looks at the socket of a connection, where the kernel shows its timers. */
export async function observeKeepAlive(subject: Subject): Promise<Observed> {
  const { host } = connectionOf(subject.config);
  if (host.startsWith("/")) {
    return { verdict: "unobserved", seen: "the connection is a Unix socket, which cannot be lost silently" };
  }
  await using pool = direct(subject);
  const client = await pool.connect();
  try {
    await client.query("select 1");
    const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
    const { localPort = 0, remotePort = 0 } = stream;
    // The timer shows as soon as nothing waits to be acknowledged.
    let timer: SocketTimer | undefined;
    for (const startedAt = performance.now(); performance.now() - startedAt < timerWithinMs;) {
      timer = await readSocketTimer(localPort, remotePort);
      if (!timer || timer.keepAlive) break;
      await systemClock.sleep(50, subject.signal);
    }
    if (!timer)
      return { verdict: "unobserved", seen: `this system (${process.platform}) does not show a socket's timers` };
    const facts = { localPort, dueMs: timer.dueMs };
    if (!timer.keepAlive) {
      return {
        verdict: "refuted",
        seen: "no keep-alive timer runs on the socket of a connection",
        hint: "Give DB_KEEP_ALIVE a duration.",
        facts,
      };
    }
    const seen = `the kernel's keep-alive timer runs on the socket, due in ${formatDuration(timer.dueMs)}`;
    return { verdict: "proved", seen, facts };
  } finally {
    client.release();
  }
}

/** Runs a statement a little slower than the threshold and waits for it to be reported. */
export async function observeSlowQuery(subject: Subject): Promise<Observed> {
  const { slowQueryThresholdMs } = subject.config.pool;
  const threshold = slowQueryThresholdMs === false ? 200 : slowQueryThresholdMs;
  if (threshold > longestSlowQueryMs) {
    const seen = `a statement is slow from ${formatDuration(threshold)} on, which is longer than this check runs one`;
    return { verdict: "unobserved", seen, hint: "Lower DB_SLOW_QUERY_THRESHOLD." };
  }
  await using pool = direct(subject);
  const reported: SlowQuery[] = [];
  pool.on("slow-query", (query) => void reported.push(query));
  const facts = { thresholdMs: threshold };
  try {
    await pool.query("select pg_catalog.pg_sleep($1::float8)", [(threshold + 50) / 1_000], { signal: subject.signal });
  } catch (error) {
    return {
      verdict: "refuted",
      seen: `a statement that takes ${formatDuration(threshold)} did not end: ${redactUrls(messageOf(error))}`,
      hint: isDbError(error, "POOL_QUERY_TIMEOUT")
        ? "Keep DB_SLOW_QUERY_THRESHOLD below DB_QUERY_TIMEOUT."
        : "See why.",
      facts,
    };
  }
  const [report] = reported;
  if (!report) {
    const seen = `a statement of ${formatDuration(threshold)} was not reported`;
    return { verdict: "refuted", seen, hint: "Give DB_SLOW_QUERY_THRESHOLD a number of milliseconds.", facts };
  }
  const durationMs = Math.round(report.durationMs);
  const seen = `a statement of ${formatDuration(durationMs)} was reported; the threshold is ${formatDuration(threshold)}`;
  return { verdict: "proved", seen, facts: { ...facts, durationMs } };
}

/** Asks where a read meant for a replica arrives, and where everything else does. */
export async function observeReplicaReads(subject: Subject): Promise<Observed> {
  const { replicaUrls } = connectionOf(subject.config);
  if (replicaUrls.length === 0) {
    const hint = "Name a replica in READ_REPLICA_URLS or DB_READ_REPLICA_URL.";
    return { verdict: "unobserved", seen: "no replica is configured, so that every read is the primary's", hint };
  }
  await using pool = direct(subject, {});
  await pool.start();
  const startedAt = performance.now();
  let reads = await placeOf(pool, "replica");
  // A replica that has just been found may still be catching up.
  while (!reads.standby && performance.now() - startedAt < replicaWithinMs) {
    if (pool.stats().servers.length < 2) break;
    await systemClock.sleep(100, subject.signal);
    reads = await placeOf(pool, "replica");
  }
  const writes = await placeOf(pool, "primary");
  const facts = { replicas: replicaUrls.length, readsAtStandby: reads.standby, writesAtStandby: writes.standby };
  if (!reads.standby) {
    const seen = "a read meant for a replica was answered by the primary";
    return {
      verdict: "refuted",
      seen,
      hint: "Leave features.readReplicas on, and see that the replica keeps up.",
      facts,
    };
  }
  if (writes.standby) return { verdict: "refuted", seen: "what is meant for the primary reaches a standby", facts };
  return { verdict: "proved", seen: "a read was answered by a standby, everything else by the primary", facts };
}

async function placeOf(pool: Pool, target: "primary" | "replica"): Promise<{ readonly standby: boolean }> {
  const sql = "select pg_catalog.pg_is_in_recovery() as standby";
  return (await pool[target].query<{ standby: boolean }>(sql)).rows[0]!;
}

/** A pool of this configuration to the servers themselves; by default to the primary alone. */
function direct({ config, logger }: Subject, changes: Partial<PoolOptions> = { replicaUrls: [] }): Pool {
  return createPool({ ...poolOptionsOf(config, logger), min: 0, drainTimeoutMs: 1_000, ...changes });
}
