import type { Client } from "pg";
import { vi } from "vitest";

/** Settings under which every metric has something to show. */
export const scenarioSettings = (version: number): Readonly<Record<string, string | number>> => ({
  shared_preload_libraries: "pg_stat_statements",
  max_prepared_transactions: 5,
  wal_level: "logical",
  wal_retrieve_retry_interval: "100ms",
  autovacuum_naptime: "1h",
  ...(version >= 13 && { max_slot_wal_keep_size: "1GB" }),
});

/** Metrics that only show while something runs that a test cannot hold still. */
export const fleeting: ReadonlySet<string> = new Set([
  ...["vacuum", "create_index", "cluster", "analyze", "copy", "basebackup"].map((c) => `pg_stat_progress_${c}_ratio`),
  "pg_stat_subscription_last_msg_age_seconds",
  "pg_stat_archiver_last_failed_seconds",
  // A pooled connection of ours never read this view's row before the standby had something to say.
  "pg_replication_last_replay_seconds",
]);

/** Fills a database so that every collector finds something: tables with and without keys, slots, a sequence, … */
export async function prepareScenario(cluster: { readonly archiveDirectory: string }, client: Client): Promise<void> {
  const database = (await client.query<{ name: string }>("select current_database() as name")).rows[0]?.name ?? "";
  for (const statement of [
    "create extension pg_stat_statements",
    // First: a slot waits for every transaction that is open when it is made, prepared ones too.
    "select pg_create_logical_replication_slot('decoded', 'test_decoding')",
    "create table kept (id int primary key, v text)",
    "create table keyless (v text) with (autovacuum_enabled = off)",
    "create table pending (id int primary key)",
    "insert into kept select g, repeat('x', 100) from generate_series(1, 1000) g",
    "insert into keyless select g::text from generate_series(1, 1000) g",
    "analyze",
    "delete from keyless",
    "create index kept_v on kept (v)",
    "set enable_seqscan = off",
    "select * from kept where id = 7",
    "set enable_seqscan = on",
    "select count(*) from kept",
    "create sequence half as int maxvalue 100 start 50",
    "select nextval('half')",
    // A bigint sequence that feeds an int4: the column ends long before the sequence does.
    "create sequence wide",
    "create table narrow (id int primary key default nextval('wide'))",
    "alter sequence wide owned by narrow.id",
    "select setval('wide', 1932735283)",
    "alter table kept add constraint kept_positive check (id > 0) not valid",
    "begin",
    "insert into pending values (1)",
    "prepare transaction 'forgotten'",
    `create subscription feed connection 'dbname=${database}' publication none with (connect = false)`,
    "select pg_stat_reset_single_table_counters(0)",
  ]) {
    await client.query(statement);
  }
  if (cluster.archiveDirectory !== "") await archiveOne(client);
  await vi.waitFor(
    async () => {
      const { rows } = await client.query<{ n: string; dead: string }>(
        `select sum(n_live_tup) as n, sum(n_dead_tup) as dead from pg_stat_user_tables`,
      );
      if (Number(rows[0]?.n) < 1000 || Number(rows[0]?.dead) < 1000) throw new Error("statistics are not there yet");
    },
    { timeout: 20_000, interval: 50 },
  );
}

async function archiveOne(client: Client): Promise<void> {
  await client.query("select pg_switch_wal()");
  await vi.waitFor(
    async () => {
      const { rows } = await client.query<{ done: boolean }>("select archived_count > 0 as done from pg_stat_archiver");
      if (!rows[0]?.done) throw new Error("nothing was archived yet");
    },
    { timeout: 20_000, interval: 50 },
  );
}
