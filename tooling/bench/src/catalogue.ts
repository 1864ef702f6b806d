import { backupFull } from "./backup-full.bench.ts";
import { backupRestore } from "./backup-restore.bench.ts";
import type { Benchmark } from "./benchmark.ts";
import { UsageError } from "./errors.ts";
import { forecastDays } from "./forecast.bench.ts";
import { healthEndpoint } from "./health-endpoint.bench.ts";
import { legacyOverhead } from "./legacy-overhead.bench.ts";
import { lint } from "./lint.bench.ts";
import { migrate500 } from "./migrate-500.bench.ts";
import { migrateNoop } from "./migrate-noop.bench.ts";
import { migrateOnline } from "./migrate-online.bench.ts";
import { monitorCost } from "./monitor-cost.bench.ts";
import { monitorLocked } from "./monitor-locked.bench.ts";
import { monitorScrape } from "./monitor-scrape.bench.ts";
import { poolAcquire } from "./pool-acquire.bench.ts";
import { poolErrors } from "./pool-errors.bench.ts";
import { poolFailover } from "./pool-failover.bench.ts";
import { poolFreeze } from "./pool-freeze.bench.ts";
import { poolMemory } from "./pool-memory.bench.ts";
import { poolMixed } from "./pool-mixed.bench.ts";
import { poolRow } from "./pool-row.bench.ts";
import { poolSpike } from "./pool-spike.bench.ts";
import { poolStaleReads } from "./pool-stale-reads.bench.ts";
import { reportFull } from "./report-full.bench.ts";
import { suggest } from "./suggestion.ts";
import { walReceive } from "./wal-receive.bench.ts";
import { walSegment } from "./wal-segment.bench.ts";

/** Every benchmark, in the order of `list`. */
export const benchmarks: readonly Benchmark[] = [
  poolRow,
  poolMixed,
  poolAcquire,
  poolSpike,
  poolFailover,
  poolFreeze,
  poolStaleReads,
  poolMemory,
  poolErrors,
  migrateNoop,
  migrate500,
  migrateOnline,
  lint,
  backupFull,
  backupRestore,
  walSegment,
  walReceive,
  forecastDays,
  legacyOverhead,
  monitorScrape,
  monitorLocked,
  reportFull,
  healthEndpoint,
  monitorCost,
];

/** @throws {UsageError} with the name that was probably meant */
export function findBenchmark(name: string, among: readonly Benchmark[] = benchmarks): Benchmark {
  const found = among.find((each) => each.name === name);
  if (found) return found;
  const names = among.map((each) => each.name);
  const meant = suggest(name, names);
  throw new UsageError(`no benchmark is called "${name}"`, {
    hint: meant === undefined ? `There are: ${names.join(", ")}.` : `Did you mean "${meant}"?`,
  });
}
