import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { applyMigrations, planMigrations } from "@db/migrate";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import type { Arena, Benchmark, Measurement } from "./benchmark.ts";
import { pgbenchVersion, startWriters } from "./pgbench-writers.ts";
import { median } from "./statistics.ts";

interface OnlineArena extends Arena {
  readonly cluster: TestCluster<0>;
  readonly directory: string;
}

interface FilledTable {
  readonly url: string;
  readonly rows: number;
}

const migration = `-- migrate:expand lock_timeout=20ms retries=500
alter table account add column label text;
create function label_account() returns trigger language plpgsql as $$
begin
  if new.label is null then new.label := 'account ' || new.id; end if;
  return new;
end $$;
create trigger label_account before insert or update on account for each row execute function label_account();
-- migrate:backfill table=account key=id batch=500 batch_time=15ms lock_timeout=100ms retries=500
update account set label = 'account ' || id where :batch and label is null;
-- migrate:contract lock_timeout=20ms retries=500
alter table account add constraint account_label check (label is not null) not valid;
alter table account validate constraint account_label;
alter table account alter column label set not null;
alter table account drop constraint account_label;
drop trigger label_account on account;
drop function label_account();
`;

/**
 * A column is added, filled and made NOT NULL phase by phase while four clients of pgbench write to the table as fast
 * as they can. What counts is the longest any of their statements took, beside the longest without a migration.
 */
export const migrateOnline: Benchmark<OnlineArena, FilledTable> = {
  name: "migrate-online",
  title: "a column added, filled over 10 million rows (1 million when quick) and made NOT NULL under pgbench",
  async setup() {
    await using stack = new AsyncDisposableStack();
    const version = pgbenchVersion();
    const cluster = stack.use(
      await startCluster({
        settings: { max_wal_size: "8GB", min_wal_size: "8GB", shared_buffers: "1GB", checkpoint_timeout: "30min" },
      }),
    );
    const directory = await mkdtemp(join(tmpdir(), "bench-online-"));
    stack.defer(() => rm(directory, { recursive: true, force: true }));
    await writeFile(join(directory, "0001_label.sql"), migration);
    const client = await cluster.connect();
    const { rows } = await client.query<{ server_version: string }>("show server_version");
    await client.end();
    const absent = version === undefined ? [{ case: "", reason: "pgbench is not installed" }] : [];
    const kept = stack.move();
    return {
      cluster,
      directory,
      postgres: rows[0]?.server_version ?? "",
      absent,
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    };
  },
  contenders: [
    {
      name: "db_migrate",
      package: "@db/migrate",
      async prepare({ cluster, directory }, { round, quick }) {
        // The round that warms up has only a little to do.
        const rows = round === 0 ? 100_000 : quick ? 1_000_000 : 10_000_000;
        const { url } = await cluster.createDatabase();
        const client = new Client({ connectionString: url });
        await client.connect();
        await client.query(
          "create table account (id bigint primary key, balance bigint not null) with (fillfactor = 70)",
        );
        await client.query("insert into account select i, 0 from generate_series(1, $1::bigint) i", [rows]);
        await client.query("vacuum analyze account");
        if (round > 0) await writeWalBefore(client);
        await client.end();
        const calm = await startWriters(url, rows);
        await new Promise((resolve) => setTimeout(resolve, round === 0 || quick ? 5_000 : 60_000));
        const before = await calm.stop();
        return async () => {
          const writers = await startWriters(url, rows);
          const runner = new Client({ connectionString: url });
          await runner.connect();
          try {
            for (const phase of ["expand", "backfill", "contract"] as const) {
              await applyMigrations(runner, await planMigrations(runner, { directory, phase }));
            }
          } finally {
            await runner.end();
          }
          const during = await writers.stop();
          return {
            operations: rows,
            answer: { url, rows },
            facts: {
              longest_stall_us: during.longestUs,
              longest_stall_without_us: before.longestUs,
              writes: during.transactions,
            },
          };
        };
      },
    },
  ],
  async check(_arena, _run, { answer: { url, rows } }) {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      const found = await client.query<{ n: number; required: boolean }>(
        `select (select count(*) from account where label is null)::int as n,
                (select attnotnull from pg_attribute where attrelid = 'account'::regclass and attname = 'label') as required,
                (select count(*) from account)::int >= ${rows} as whole`,
      );
      const [row] = found.rows;
      return row?.n === 0 && row.required ? undefined : `the table is left as ${JSON.stringify(row)}`;
    } finally {
      await client.end();
    }
  },
  figures: (measurements) => ({
    longest_stall_ms: middle(measurements, "longest_stall_us") / 1_000,
    longest_stall_without_ms: middle(measurements, "longest_stall_without_us") / 1_000,
    writes_per_second: median(
      measurements.map(({ facts, durationMs }) => (facts["writes"] ?? 0) / (durationMs / 1_000)),
    ),
    rows_per_second: median(measurements.map(({ operations, durationMs }) => operations / (durationMs / 1_000))),
    db_migrate_ms: median(measurements.map(({ durationMs }) => durationMs)),
  }),
};

/**
 * Makes the server one that has run for a while: its next WAL segments are old ones, renamed. On one just made every
 * segment is filled with zeros first, by the writer that comes to it and while all others wait: a third of a second
 * at times, which is the disk's and no migration's.
 */
async function writeWalBefore(client: Client): Promise<void> {
  const megabytes = "generate_series(1, 100)";
  const fill = `select count(pg_logical_emit_message(false, 'fill', repeat('x', 1048576))) from ${megabytes}`;
  for (let written = 0; written < 6_000; written += 100) await client.query(fill);
  await client.query("checkpoint");
}

function middle(measurements: readonly Measurement[], fact: string): number {
  return median(measurements.map(({ facts }) => facts[fact] ?? 0));
}
