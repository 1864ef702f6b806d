import { createPool } from "@db/pool";
import { startCluster } from "@db/testkit";
import type { Arena, Benchmark } from "./benchmark.ts";
import { factFigures } from "./figures.ts";

interface Failover {
  /** Rows whose insert was confirmed and that are not there, or are there more than once. */
  readonly lost: number;
  readonly doubled: number;
}

const writers = 50;
const probeIntervalMs = 100;

/**
 * Fifty writers, a primary killed as by `kill -9`, its synchronous standby promoted. How long after the promotion was
 * the first row written, and is every confirmed row there once?
 */
export const poolFailover: Benchmark<Arena, Failover> = {
  name: "pool-failover",
  title: `A failover under ${writers} writers, probes every ${probeIntervalMs} ms`,
  setup: () => Promise.resolve({ postgres: "18", [Symbol.asyncDispose]: () => Promise.resolve() }),
  contenders: [{ name: "db_pool", package: "@db/pool", prepare: () => failOver }],
  check: (_arena, _run, { answer: { lost, doubled } }) =>
    lost + doubled === 0 ? undefined : `${lost} confirmed rows lost, ${doubled} doubled`,
  figures: (measurements) => factFigures(measurements),
};

async function failOver(): Promise<{ operations: number; answer: Failover; facts: Record<string, number> }> {
  await using cluster = await startCluster({
    replicas: 1,
    settings: { synchronous_standby_names: "*", max_connections: 150 },
    replicaSettings: { synchronous_standby_names: "" },
  });
  const [standby] = cluster.replicas;
  await using pool = createPool({
    primaryUrl: cluster.primary.url,
    replicaUrls: [standby.url],
    probeIntervalMs,
    max: writers,
  });
  await pool.start();
  await pool.query("create table op (id bigint)");
  const confirmed: number[] = [];
  let failed = 0;
  let next = 0;
  let promotedAt = Infinity;
  let firstAfterMs: number | undefined;
  const over = new AbortController();
  const write = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const id = (next += 1);
      try {
        await pool.query("insert into op values ($1)", [id]);
        confirmed.push(id);
        if (firstAfterMs === undefined && promotedAt < Infinity) firstAfterMs = performance.now() - promotedAt;
      } catch {
        failed += 1;
      }
    }
  };
  const running = Array.from({ length: writers }, write);
  while (confirmed.length < 2_000) await new Promise((resolve) => setTimeout(resolve, 5));
  await cluster.primary.kill();
  const atKill = confirmed.length;
  await standby.promote();
  promotedAt = performance.now();
  while (confirmed.length < atKill + 1_000) await new Promise((resolve) => setTimeout(resolve, 5));
  over.abort();
  await Promise.all(running);
  const { rows } = await pool.query<{ id: string; times: number }>(
    "select id, count(*)::int as times from op group by id",
  );
  const times = new Map(rows.map(({ id, times: count }) => [Number(id), count]));
  const lost = confirmed.filter((id) => !times.has(id)).length;
  const doubled = rows.filter(({ times: count }) => count > 1).length;
  const facts = { first_write_ms: firstAfterMs ?? 0, failed_writes: failed };
  return { operations: confirmed.length, answer: { lost, doubled }, facts };
}
