import { startCluster, type TestCluster } from "@db/testkit";
import type { Arena, Benchmark, Figures, Measurement, SetupContext } from "./benchmark.ts";
import { buildPackages } from "./built-packages.ts";
import { type Exporter, startMonitor, tablesSql } from "./scrape-arena.ts";
import { median, roundFigure } from "./statistics.ts";

interface LockedArena extends Arena {
  readonly cluster: TestCluster<0>;
  readonly exporter: Exporter;
  readonly tables: number;
}

const scrapes = 5;

/** A scrape in which everything is due, while somebody holds a table so that nobody may even look at it. */
export const monitorLocked: Benchmark<LockedArena, readonly string[]> = {
  name: "monitor-locked",
  title: "A scrape of 1,000 tables in which everything is due, one table locked ACCESS EXCLUSIVE",
  setup: openLocked,
  contenders: (["db_monitor_locked", "db_monitor_free"] as const).map((name) => ({
    name,
    package: "@db/monitor",
    prepare: async ({ cluster, exporter }) => {
      const holder = await cluster.connect();
      await holder.query("begin");
      if (name === "db_monitor_locked") await holder.query("lock table t7 in access exclusive mode");
      return async () => {
        const took: number[] = [];
        const answer: string[] = [];
        for (let scrape = 0; scrape < scrapes; scrape++) {
          const began = performance.now();
          answer.push(await exporter.scrape());
          took.push(performance.now() - began);
        }
        await holder.query("rollback");
        await holder.end();
        return {
          operations: scrapes,
          answer,
          facts: {
            scrape_ms: median(took),
            longest_ms: Math.max(...took),
            stale_blocks: Math.max(...answer.map((text) => staleIn(text).length)),
          },
        };
      };
    },
  })),
  check: ({ tables }, _run, { answer }) => answer.map((text) => problemIn(text, tables)).find(Boolean),
  figures: lockedFigures,
};

async function openLocked({ quick, say }: SetupContext): Promise<LockedArena> {
  await using stack = new AsyncDisposableStack();
  const unbuilt = await buildPackages();
  if (unbuilt !== undefined) throw new Error(unbuilt);
  const tables = quick ? 200 : 1_000;
  const cluster = stack.use(
    await startCluster({
      settings: {
        shared_preload_libraries: "pg_stat_statements",
        max_locks_per_transaction: "1024",
        autovacuum: "off",
      },
    }),
  );
  const client = await cluster.connect();
  say(`making ${tables} tables`);
  await client.query(tablesSql(tables));
  await client.query("create extension pg_stat_statements; analyze");
  const { rows } = await client.query<{ version: string }>("select current_setting('server_version') as version");
  await client.end();
  const exporter = await startMonitor(cluster.primary.url, "all", stack);
  const kept = stack.move();
  return {
    postgres: rows[0]?.version ?? "",
    cluster,
    exporter,
    tables,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Collectors whose values are not of this scrape. */
function staleIn(text: string): readonly string[] {
  return [...text.matchAll(/^pg_scrape_collector_success\{[^}]*collector="(\w+)"[^}]*\} 0$/gm)].map((each) => each[1]!);
}

function problemIn(text: string, tables: number): string | undefined {
  if (!/^pg_up\{[^}]*\} 1$/m.test(text)) return "pg_up is not 1";
  const stale = staleIn(text);
  if (stale.length > 1) return `${stale.length} blocks are stale: ${stale.join(", ")}`;
  const rest = /^pg_stat_user_tables_table_size_bytes\{[^}]*relname="other"[^}]*\} (\d+)/m.exec(text);
  return Number(rest?.[1] ?? 0) > 0 ? undefined : `the sizes of ${tables} tables are missing`;
}

function lockedFigures(measurements: readonly Measurement[]): Figures {
  const figures: Record<string, number> = {};
  for (const name of ["db_monitor_locked", "db_monitor_free"]) {
    const facts = measurements.filter(({ contender }) => contender === name).map((each) => each.facts);
    if (facts.length === 0) continue;
    figures[`${name}_scrape_ms`] = roundFigure(median(facts.map((each) => each["scrape_ms"] ?? 0)));
    figures[`${name}_longest_ms`] = roundFigure(Math.max(...facts.map((each) => each["longest_ms"] ?? 0)));
    figures[`${name}_stale_blocks`] = Math.max(...facts.map((each) => each["stale_blocks"] ?? 0));
  }
  return figures;
}
