import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";

import { availableParallelism } from "node:os";
import { createInterface } from "node:readline";
import { startCluster } from "@db/testkit";
import type { Absence, Arena, Benchmark, Figures, Measurement, SetupContext } from "./benchmark.ts";
import { buildPackages, monitorProcess } from "./built-packages.ts";
import { openPageReader, type PageReader } from "./page-reader.ts";
import { pgbenchVersion } from "./pgbench-writers.ts";
import { processorMs } from "./processor-time.ts";
import { bootstrapMedian, median, roundFigure } from "./statistics.ts";

interface CostArena extends Arena {
  readonly url: string;
  /** The process that answers scrapes. */
  readonly pid: number;
  readonly reader: PageReader;
}

/** Seconds at the beginning of a run that are left out. */
const warmUpSeconds = 3;
/** Of a process that answers for months, what it does in its first minutes is no measure: its code is compiled then. */
const warmUpScrapes = 600;
/** Seconds with a scrape and without, in an order in which what drifts cancels out. */
const order: readonly boolean[] = Array.from({ length: 60 }, (_, second) => second % 4 === 1 || second % 4 === 2);

/**
 * What scrapes every second take from an application's transactions: one run of pgbench, in which seconds with a scrape
 * and without follow each other, so that neighbours in time are compared and not runs. The server does nothing by itself
 * meanwhile and waits for no disk: its clients take all that the processors have, and what a scrape takes is theirs.
 */
export const monitorCost: Benchmark<CostArena, readonly number[]> = {
  name: "monitor-cost",
  title: "pgbench, 8 clients, seconds with a scrape of the server beside seconds without",
  setup: openCost,
  contenders: [{ name: "db_monitor", package: "@db/monitor", prepare: (arena) => () => alternate(arena) }],
  check: (_arena, _run, { answer }) =>
    answer.length === order.length && answer.every((tps) => tps > 0) ? undefined : "pgbench did not run to its end",
  figures: costFigures,
};

async function openCost({ quick, say }: SetupContext): Promise<CostArena> {
  await using stack = new AsyncDisposableStack();
  const version = pgbenchVersion();
  const absent: Absence[] =
    version === undefined ? [{ contender: "db_monitor", reason: "pgbench is not installed" }] : [];
  const unbuilt = await buildPackages();
  if (unbuilt !== undefined) throw new Error(unbuilt);
  const cluster = stack.use(
    await startCluster({
      settings: {
        shared_preload_libraries: "pg_stat_statements",
        shared_buffers: "256MB",
        synchronous_commit: "off",
        autovacuum: "off",
        checkpoint_timeout: "1h",
        max_wal_size: "16GB",
      },
    }),
  );
  const client = await cluster.connect();
  await client.query("create extension pg_stat_statements");
  const { rows } = await client.query<{ version: string }>("select current_setting('server_version') as version");
  await client.end();
  const { url } = cluster.primary;
  if (version !== undefined) {
    say("filling the tables of pgbench");
    spawnSync("pgbench", ["-i", "-q", "-s", quick ? "2" : "10", url], { stdio: "ignore" });
  }
  const child = spawn(process.execPath, [monitorProcess, url, "clock"], { stdio: ["ignore", "pipe", "inherit"] });
  stack.defer(() => end(child));
  let port = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    port = Number(line);
    break;
  }
  say(`answering ${warmUpScrapes} scrapes`);
  const reader = openPageReader(port, "/metrics");
  stack.defer(() => reader.close());
  for (let n = 0; n < warmUpScrapes; n++) await reader.read();
  const kept = stack.move();
  return {
    postgres: rows[0]?.version ?? "",
    url,
    reader,
    pid: child.pid ?? 0,
    absent,
    versions: { pgbench: version ?? "" },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** One run of pgbench: transactions a second of each window, and the processor time of the scrapes within. */
async function alternate({ url, reader, pid }: CostArena): Promise<{
  operations: number;
  answer: readonly number[];
  facts: Readonly<Record<string, number>>;
}> {
  // A session that idles for ten seconds is closed: each run looks for its own.
  await reader.read();
  const backend = backendOf(url);
  const seconds = warmUpSeconds + order.length;
  const child = spawn("pgbench", ["-n", "-c", "8", "-j", "1", "-P", "1", "-T", String(seconds + 1), url], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const perSecond: number[] = [];
  let scrapes = 0;
  let own = 0;
  let backends = 0;
  for await (const line of createInterface({ input: child.stderr })) {
    const tps = /^progress: [\d.]+ s, ([\d.]+) tps/.exec(line)?.[1];
    if (tps === undefined) continue;
    perSecond.push(Number(tps));
    // Each line ends a second: what is done now falls into the next one. Both kinds of seconds are looked at.
    const watched = order[perSecond.length - warmUpSeconds] ?? false;
    const before = [await processorMs(pid), await processorMs(backend)] as const;
    if (watched) await reader.read();
    const after = [await processorMs(pid), await processorMs(backend)] as const;
    if (!watched) continue;
    scrapes += 1;
    own += after[0] - before[0];
    backends += after[1] - before[1];
  }
  if (child.exitCode === null) await once(child, "close");
  const answer = perSecond.slice(warmUpSeconds, seconds);
  const facts: Record<string, number> = { scrapes, own_cpu_ms: own / scrapes, server_cpu_ms: backends / scrapes };
  for (const [second, tps] of answer.entries()) facts[`second_${second}_tps`] = tps;
  return { operations: perSecond.reduce((sum, tps) => sum + tps, 0), answer, facts };
}

/** The server process of the monitor's session, which a scrape has just used. */
function backendOf(url: string): number {
  const sql =
    "select pid from pg_stat_activity where application_name = 'db-monitor' order by backend_start desc limit 1";
  const { stdout } = spawnSync("psql", ["-XAtc", sql, url], { encoding: "utf8" });
  return Number(stdout.trim());
}

/**
 * The share of transactions lost: of each pair of neighbouring seconds, the median over all pairs with an interval in
 * which it lies nineteen times of twenty, and the mean, in which what is read now and then counts too. Beside it what scrapes took of all processors, which is what they can take
 * from a server that has nothing else to spare.
 */
function costFigures(measurements: readonly Measurement[]): Figures {
  const fact = (name: string): number => median(measurements.map(({ facts }) => facts[name] ?? 0));
  const lost = measurements.flatMap(({ facts }) =>
    order.flatMap((watched, second) => {
      if (second % 2 === 1) return [];
      const [one = 0, other = 0] = [second, second + 1].map((each) => facts[`second_${each}_tps`]);
      return watched ? 1 - one / other : 1 - other / one;
    }),
  );
  const [low, high] = bootstrapMedian(lost, { seed: 1 });
  const cpuMs = fact("own_cpu_ms") + fact("server_cpu_ms");
  return {
    tps_lost_ratio: roundFigure(median(lost)),
    tps_lost_ratio_low: roundFigure(low),
    tps_lost_ratio_high: roundFigure(high),
    tps_lost_mean: roundFigure(lost.reduce((sum, each) => sum + each, 0) / lost.length),
    pairs: lost.length,
    cpu_share: roundFigure(cpuMs / 1_000 / availableParallelism()),
    own_cpu_ms: roundFigure(fact("own_cpu_ms")),
    server_cpu_ms: roundFigure(fact("server_cpu_ms")),
    tps: roundFigure(
      median(measurements.flatMap(({ facts }) => order.map((_, second) => facts[`second_${second}_tps`] ?? 0))),
    ),
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill();
  await ended;
}
