import { startCluster, type TestCluster } from "@db/testkit";
import { Pool } from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { applyMigrations, type ApplyOptions, pauseBackfill, planMigrations } from "../src/index.ts";
import { makeWorkspace, type Workspace } from "./workspace.ts";

const rows = 2_000;
let cluster: TestCluster<1>;
let pool: Pool;
let files: Workspace;

beforeAll(async () => {
  cluster = await startCluster({ version: 18, replicas: 1 });
});
afterAll(async () => {
  await cluster.stop();
});
beforeEach(async () => {
  const { url } = await cluster.createDatabase();
  pool = new Pool({ connectionString: url, max: 4 });
  await pool.query(`create table users (id int primary key, name text);
    insert into users select i, 'Name ' || i from generate_series(1, ${rows}) i; analyze users;`);
  files = await makeWorkspace({
    "0001_lower.sql": `-- migrate:expand
alter table users add column lower text;
-- migrate:backfill table=users key=id batch=100 batch_time=1ms pause=50ms max_lag=300ms
update users set lower = lower(name) where :batch;
`,
  });
  await applyMigrations(pool, await planMigrations(pool, { directory: files.directory, phase: "expand" }));
  return async () => {
    await onStandby("select pg_wal_replay_resume()");
    await pool.end();
    await files[Symbol.asyncDispose]();
  };
});

async function backfill(options: ApplyOptions): Promise<unknown> {
  const plan = await planMigrations(pool, { directory: files.directory, phase: "backfill" });
  return applyMigrations(pool, plan, options);
}

async function filled(): Promise<number> {
  const { rows: counted } = await pool.query<{ n: number }>("select count(lower)::int as n from users");
  return counted[0]?.n ?? -1;
}

async function onStandby(sql: string): Promise<void> {
  const client = await cluster.replicas[0].connect();
  await client.query(sql);
  await client.end();
}

const waits = 3;

describe("a backfill beside a standby that does not replay", () => {
  test("waits without filling anything, and goes on once the standby has caught up", async () => {
    await onStandby("select pg_wal_replay_pause()");
    const seen: { standby: string; replicaLagMs: number; filled: Promise<number> }[] = [];
    let resumed: Promise<void> | undefined;
    const report = await backfill({
      onEvent: (event) => {
        if (event.type !== "backfill-waiting") return;
        if (seen.length < waits) seen.push({ ...event, filled: filled() });
        else resumed ??= onStandby("select pg_wal_replay_resume()");
      },
    });
    await resumed;
    expect(resumed, "the standby was resumed because the backfill waited").toBeDefined();
    expect(report).toMatchObject({ applied: [{ statements: [{ rows }] }] });
    expect(await filled()).toBe(rows);
    const counts = await Promise.all(seen.map(({ filled: count }) => count));
    expect(new Set(counts).size, `filled while waiting: ${counts.join()}`).toBe(1);
    expect(counts[0]).toBeLessThan(rows);
    expect(seen.every(({ standby, replicaLagMs }) => standby === "replica_1" && replicaLagMs > 300)).toBe(true);
    expect(seen.at(-1)?.replicaLagMs).toBeGreaterThan(seen[0]?.replicaLagMs ?? 0);
  });

  test("waits for one that replays late on purpose, again and again", async () => {
    await cluster.replicas[0].reconfigure({ recovery_min_apply_delay: "800ms" });
    let waited = 0;
    await backfill({ onEvent: (event) => void (event.type === "backfill-waiting" && waited++) });
    await cluster.replicas[0].reconfigure({ recovery_min_apply_delay: 0 });
    expect(waited).toBeGreaterThan(0);
    expect(await filled()).toBe(rows);
  });

  test("hears a pause and an abort while it waits, and keeps what it has done", async () => {
    await onStandby("select pg_wal_replay_pause()");
    let asked: Promise<number> | undefined;
    const paused = backfill({
      onEvent: (event) => void (event.type === "backfill-waiting" && (asked ??= pauseBackfill(pool))),
    });
    await expect(paused).rejects.toMatchObject({ code: "MIGRATE_BACKFILL_PAUSED" });
    expect(await asked).toBe(1);
    const before = await filled();
    const controller = new AbortController();
    const aborted = backfill({
      signal: controller.signal,
      onEvent: (event) => void (event.type === "backfill-waiting" && controller.abort()),
    });
    await expect(aborted).rejects.toMatchObject({ code: "CORE_ABORTED" });
    expect(before).toBeGreaterThan(0);
    await onStandby("select pg_wal_replay_resume()");
    expect(await backfill({})).toMatchObject({ applied: [{ statements: [{ rows }] }] });
    expect(await filled()).toBe(rows);
  });

  test("is refused to a role that may not see the standbys, unless the file says max_lag=off", async () => {
    await pool.query(`create role filler login password 'f'; alter table users owner to filler;
      grant all on database ${new URL(pool.options.connectionString ?? "").pathname.slice(1)} to filler;
      grant all on schema db_migrate, public to filler; grant all on all tables in schema db_migrate to filler;
      alter table db_migrate.history owner to filler; alter table db_migrate.history_statements owner to filler`);
    const url = new URL(pool.options.connectionString ?? "");
    [url.username, url.password] = ["filler", "f"];
    await using own = Object.assign(new Pool({ connectionString: url.href, max: 2 }), {
      [Symbol.asyncDispose](this: Pool): Promise<void> {
        return this.end();
      },
    });
    const { directory } = files;
    const run = async (): Promise<unknown> =>
      applyMigrations(own, await planMigrations(own, { directory, phase: "backfill", changed: "allow" }));
    await expect(run()).rejects.toMatchObject({
      code: "MIGRATE_BACKFILL",
      hint: expect.stringContaining("pg_read_all_stats") as string,
    });
    await pool.query("grant pg_read_all_stats to filler");
    expect(await run()).toMatchObject({ applied: [{ id: "0001_lower" }] });
  });
});
