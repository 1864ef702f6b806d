import {
  type AlertEvent,
  connections,
  createMonitor,
  type Monitor,
  renderPrometheus,
  replication,
  samplesOf,
  type Snapshot,
  topQueries,
  valueOf,
} from "@db/monitor";
import { startCluster, type TestCluster } from "@db/testkit";
import { type Client, Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { missingMetrics } from "./coverage.ts";
import { prepareScenario, scenarioSettings } from "./scenario.ts";

let cluster: TestCluster<1>;
let client: Client;
let pool: Pool;
let replica: Pool;
let monitor: Monitor;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1, archive: true, settings: scenarioSettings(18) });
  client = await cluster.connect();
  await prepareScenario(cluster, client);
  pool = cluster.createPool({ max: 2 });
  replica = new Pool({ connectionString: cluster.replicas[0].url, max: 2 });
  replica.on("error", () => undefined);
  monitor = createMonitor({ db: pool, replicas: [{ name: "replica-1", db: replica }] });
});

afterAll(async () => {
  await monitor?.stop();
  await client?.end();
  await Promise.all([pool?.end(), replica?.end()]);
  await cluster?.stop();
});

const primary = { server: "primary" } as const;
const settled = { timeout: 20_000, interval: 20 } as const;

describe("a collection", () => {
  test("gives every metric of the registry for the version and role, and no collector fails", async () => {
    const snapshot = await monitor.collect({ force: true });
    expect(snapshot.servers.flatMap(({ blocks }) => blocks.flatMap(({ error }) => error ?? []))).toEqual([]);
    expect(missingMetrics(snapshot)).toEqual([]);
    expect(snapshot.servers.map(({ name, role, up }) => [name, role, up])).toEqual([
      ["primary", "primary", true],
      ["replica-1", "standby", true],
    ]);
  });

  test("agrees with the statistics views, column by column", async () => {
    const snapshot = await monitor.collect({ force: true });
    const { rows } = await client.query<Record<string, unknown>>(
      `select s.*, i.heap_blks_read as heap_blocks_read, i.heap_blks_hit as heap_blocks_hit,
              i.idx_blks_read as idx_blocks_read, i.idx_blks_hit as idx_blocks_hit,
              pg_table_size(s.relid) as table_size_bytes, pg_indexes_size(s.relid) as index_size_bytes
         from pg_stat_user_tables s join pg_statio_user_tables i using (relid) where s.relname = 'kept'`,
    );
    const row = rows[0] ?? {};
    const where = { ...primary, relname: "kept", schemaname: "public", datname: "postgres" };
    const compared = Object.keys(row).flatMap((column) => {
      const metric = [`pg_stat_user_tables_${column}`, `pg_statio_user_tables_${column}`].find(
        (name) => valueOf(snapshot, name, where) !== undefined,
      );
      if (metric === undefined || column.startsWith("last_")) return [];
      expect(valueOf(snapshot, metric, where), metric).toBe(Number(row[column]));
      return [column];
    });
    expect(compared.length).toBeGreaterThanOrEqual(20);
  });

  test("agrees with independent queries elsewhere", async () => {
    const holder = await cluster.connect();
    await holder.query("begin");
    await holder.query("lock table kept in share row exclusive mode");
    const snapshot = await monitor.collect({ force: true });
    await holder.query("rollback");
    await holder.end();
    const of = (metric: string, labels: Readonly<Record<string, string>> = {}): number | undefined =>
      valueOf(snapshot, metric, { ...primary, ...labels });
    const one = async (sql: string): Promise<number> => Number(Object.values((await client.query(sql)).rows[0])[0]);
    expect(of("pg_settings_max_connections")).toBe(await one("select current_setting('max_connections')"));
    expect(of("pg_settings_shared_buffers_bytes")).toBe(
      await one("select pg_size_bytes(current_setting('shared_buffers'))"),
    );
    expect(of("pg_settings_statement_timeout_seconds")).toBe(0);
    expect(of("pg_locks_count", { datname: "postgres", mode: "sharerowexclusivelock" })).toBe(1);
    expect(of("pg_sequences_used_ratio", { sequencename: "half" })).toBe(0.5);
    expect(of("pg_sequences_used_ratio", { sequencename: "wide" })).toBeCloseTo(0.9, 6);
    expect(of("pg_prepared_xacts_count")).toBe(1);
    expect(of("pg_table_without_primary_key", { datname: "postgres" })).toBe(1);
    expect(of("pg_constraint_not_validated", { datname: "postgres" })).toBe(1);
    expect(of("pg_vacuum_tables_overdue", { datname: "postgres" })).toBe(1);
    expect(of("pg_stat_replication_standbys")).toBe(1);
    expect(of("pg_replication_slots_active", { slot_name: "decoded" })).toBe(0);
    expect(of("pg_database_xid_age", { datname: "postgres" })).toBe(
      await one("select age(datfrozenxid) from pg_database where datname = 'postgres'"),
    );
    expect(of("pg_stat_user_indexes_idx_scan_total", { indexrelname: "kept_pkey" })).toBe(
      await one("select idx_scan from pg_stat_user_indexes where indexrelname = 'kept_pkey'"),
    );
    expect(valueOf(snapshot, "pg_wal_receiver_up", { server: "replica-1" })).toBe(1);
  });

  test("shares one reading among all who ask at once", async () => {
    const scrapes = (): number => valueOf(monitor.snapshot(), "pg_exporter_scrapes_total", primary) ?? 0;
    const before = scrapes();
    await Promise.all(Array.from({ length: 5 }, () => monitor.collect()));
    expect(scrapes()).toBe(before + 1);
  });

  test("serves what is known while it is young enough", async () => {
    await monitor.collect();
    const before = valueOf(monitor.snapshot(), "pg_exporter_scrapes_total", primary);
    const snapshot = await monitor.collect({ maxAgeMs: 60_000 });
    expect(valueOf(snapshot, "pg_exporter_scrapes_total", primary)).toBe(before);
  });

  test("sums what has no series of its own, so that nothing is lost", async () => {
    const narrow = createMonitor({ db: pool, limits: { tables: 1 } });
    const snapshot = await narrow.collect();
    const inserted = samplesOf(snapshot, "pg_stat_user_tables_n_tup_ins");
    expect(inserted.map(({ labels }) => labels["relname"])).toEqual([expect.any(String), "other"]);
    const { rows } = await client.query("select sum(n_tup_ins)::int as n from pg_stat_user_tables");
    expect(inserted.reduce((sum, { value }) => sum + value, 0)).toBe(rows[0].n);
  });

  test("gives the session back as it came", async () => {
    const single = cluster.createPool({ max: 1 });
    await single.query("set statement_timeout = '7s'; set application_name = 'mine'");
    await createMonitor({ db: single }).collect();
    const { rows } = await single.query(
      `select current_setting('statement_timeout') as a, current_setting('lock_timeout') as b,
              current_setting('default_transaction_read_only') as c, current_setting('application_name') as d`,
    );
    await single.end();
    expect(rows).toEqual([{ a: "7s", b: "0", c: "off", d: "mine" }]);
  });

  test("waits for no lock on a table, whatever it might wait", async () => {
    const limits = { lockTimeoutMs: 600_000, statementTimeoutMs: 600_000, collectTimeoutMs: 600_000 };
    const patient = createMonitor({ db: pool, ...limits });
    const rowsIn = (snapshot: Snapshot): number | undefined =>
      valueOf(snapshot, "pg_stat_user_tables_n_live_tup", { ...primary, relname: "kept" });
    const before = rowsIn(await patient.collect({ force: true }));
    const holder = await cluster.connect();
    await holder.query("begin");
    await holder.query("lock table kept in access exclusive mode");
    // It ends while the lock is held: with these limits, what waits for the lock would wait longer than the test.
    const snapshot = await patient.collect({ force: true });
    await holder.query("rollback");
    await holder.end();
    expect(snapshot.servers.flatMap(({ blocks }) => blocks.filter(({ success }) => !success))).toEqual([]);
    expect(before).toBeGreaterThan(0);
    expect(rowsIn(snapshot)).toBe(before);
  });

  test("keeps the last values of a collector that fails, with their age, and tells", async () => {
    await monitor.collect({ force: true });
    const holder = await cluster.connect();
    await holder.query("begin");
    // pg_sequences opens every sequence, and so waits for this one.
    await holder.query("alter sequence half restart with 50");
    const snapshot = await monitor.collect({ force: true });
    await holder.query("rollback");
    await holder.end();
    const block = snapshot.servers[0]?.blocks.find(({ collector }) => collector === "sequences");
    // The lock time-out ended the wait, for this block alone.
    expect(block).toMatchObject({ success: false, error: expect.stringContaining("lock timeout") });
    const stale = snapshot.servers[0]?.blocks.filter(({ success }) => !success);
    expect(stale?.map(({ collector }) => collector)).toEqual(["sequences"]);
    expect(block?.ageMs).toBeGreaterThan(0);
    expect(valueOf(snapshot, "pg_sequences_used_ratio_max", primary)).toBeCloseTo(0.9, 6);
    expect(valueOf(snapshot, "pg_scrape_collector_success", { ...primary, collector: "sequences" })).toBe(0);
    expect(valueOf(snapshot, "pg_exporter_last_scrape_error", primary)).toBe(1);
    expect(monitor.findings().map(({ subject }) => subject)).toContain("primary/sequences");
    await monitor.collect({ force: true });
    expect(valueOf(monitor.snapshot(), "pg_exporter_last_scrape_error", primary)).toBe(0);
  });
});

describe("alerts", () => {
  test("fire on a real lock wait, name the session to end, and clear when it is ended", async () => {
    const events: AlertEvent[] = [];
    const watching = createMonitor({
      db: pool,
      overrides: [{ rule: "PgLockWait", thresholds: { warn: 0.15 }, forMs: 0 }],
      onAlert: (event) => void (event.alert.rule === "PgLockWait" && events.push(event)),
    });
    const [holder, waiter] = [await cluster.connect(), await cluster.connect()];
    await holder.query("set application_name = 'careless'");
    await holder.query("begin");
    await holder.query("update kept set v = 'held' where id = 1");
    const waiting = waiter.query("update kept set v = 'waited' where id = 1");
    await vi.waitFor(async () => {
      await watching.collect({ force: true });
      expect(events).toHaveLength(1);
    }, settled);
    const { rows } = await client.query("select pid from pg_stat_activity where application_name = 'careless'");
    const alert = events[0]?.alert;
    expect(alert).toMatchObject({ state: "firing", severity: "warn", server: "primary" });
    expect(alert?.hint).toContain(`Session ${rows[0].pid} (careless`);
    const tree = connections(watching.snapshot()).servers[0]?.blocking;
    expect(tree?.map(({ session, blocks }) => [session.pid, blocks.length])).toEqual([[rows[0].pid, 1]]);
    expect(watching.findings().find(({ id }) => id === "PG-LOCK-WAIT")?.command).toBe(alert?.command);
    await client.query(alert?.command ?? "");
    await waiting;
    await vi.waitFor(async () => {
      await watching.collect({ force: true });
      expect(events.map(({ kind }) => kind)).toEqual(["firing", "cleared"]);
    }, settled);
    expect(watching.alertHistory().some(({ kind, alert }) => kind === "cleared" && alert.rule === "PgLockWait")).toBe(
      true,
    );
    await holder.end().catch(() => undefined);
    await waiter.end();
  });

  test("fire on a session idle in its transaction", async () => {
    const watching = createMonitor({
      db: pool,
      overrides: [{ rule: "PgIdleInTransaction", thresholds: { warn: 0.01 }, forMs: 0 }],
    });
    const idle = await cluster.connect();
    await idle.query("begin; select 1");
    const firing = (): readonly string[] =>
      watching
        .alerts()
        .filter(({ state }) => state === "firing")
        .map(({ rule }) => rule);
    await vi.waitFor(async () => {
      await watching.collect({ force: true });
      expect(firing()).toContain("PgIdleInTransaction");
    }, settled);
    await idle.query("rollback");
    await watching.collect({ force: true });
    expect(firing()).not.toContain("PgIdleInTransaction");
    await idle.end();
  });
});

describe("what is seen", () => {
  test("ranks statements, without literals, and tells the monitor's own from the application's", async () => {
    await client.query("select count(*) from kept where v = 'secret-value'");
    const fresh = createMonitor({ db: pool });
    const queries = topQueries(await fresh.collect(), { limit: 100 });
    const mine = queries.find(({ text }) => text?.includes("count(*) from kept where v = $1"));
    expect(mine).toMatchObject({ calls: 1, rows: 1, database: "postgres", user: "postgres" });
    expect(JSON.stringify(queries)).not.toContain("secret-value");
    expect(queries.filter(({ text }) => text?.includes("from pg_catalog.pg_stat_activity"))).toEqual([]);
    expect(queries.find(({ queryId }) => queryId === "monitor")?.calls).toBeGreaterThan(10);
    expect(queries.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 5);
  });

  test("shows the topology from both sides", async () => {
    const view = replication(await monitor.collect());
    expect(view.servers).toMatchObject([
      { server: "primary", role: "primary", receiverUp: null },
      { server: "replica-1", role: "standby", receiverUp: true },
    ]);
    expect(view.standbys).toMatchObject([{ server: "primary", name: "replica_1", state: "streaming", sync: "async" }]);
    expect(view.slots.map(({ name, active }) => [name, active])).toEqual(
      expect.arrayContaining([
        ["decoded", false],
        ["replica_1", true],
      ]),
    );
    expect(view.archivers[0]).toMatchObject({ failing: false, failed: 0 });
  });

  test("suggests keys, validation, vacuum, and says how", async () => {
    await monitor.collect({ force: true });
    const commands = Object.fromEntries(monitor.findings().map(({ id, command }) => [id, command]));
    expect(commands).toMatchObject({
      "PG-NO-PRIMARY-KEY": expect.stringContaining('alter table "public"."keyless" add column'),
      "PG-CONSTRAINT-NOT-VALID": 'alter table "public"."kept" validate constraint "kept_positive";',
      "PG-TABLE-VACUUM":
        'alter table "public"."keyless" reset (autovacuum_enabled); vacuum (analyze) "public"."keyless";',
      "PG-FSYNC-OFF": expect.stringContaining("fsync = on"),
    });
  });

  test("reports a database where pg_stat_statements is not created as a finding with its command", async () => {
    const { url } = await cluster.createDatabase();
    const other = new Pool({ connectionString: url, max: 1 });
    const watching = createMonitor({ db: other });
    const snapshot = await watching.collect();
    await other.end();
    expect(snapshot.servers[0]?.blocks.filter(({ success }) => !success)).toEqual([]);
    expect(watching.findings().find(({ id }) => id === "PG-STATEMENTS-MISSING")?.command).toBe(
      "create extension pg_stat_statements;",
    );
  });

  test("covers every database it is connected to", async () => {
    const { name, url } = await cluster.createDatabase();
    const other = new Pool({ connectionString: url, max: 1 });
    await other.query("create table elsewhere (v int)");
    const watching = createMonitor({ db: pool, databases: [other] });
    const snapshot = await watching.collect();
    await other.end();
    const keyless = samplesOf(snapshot, "pg_table_without_primary_key").map(({ labels, value }) => [
      labels["datname"],
      value,
    ]);
    expect(keyless).toEqual([
      ["postgres", 1],
      [name, 1],
    ]);
    expect(valueOf(snapshot, "pg_stat_user_tables_n_tup_ins", { datname: name, relname: "elsewhere" })).toBe(0);
    const titles = watching.findings().filter(({ id }) => id === "PG-NO-PRIMARY-KEY");
    expect(titles.map(({ subject }) => subject)).toEqual(["public.elsewhere", "public.keyless"]);
  });

  test("finds every database of the server, forgets those that are gone, and outlives one that cannot be visited", async () => {
    const first = await cluster.createDatabase();
    const closed: string[] = [];
    const watching = createMonitor({
      db: pool,
      connectDatabase: (name) => {
        const url = new URL(cluster.primary.url);
        url.pathname = `/${name === "unreachable" ? "postgres_not_there" : name}`;
        const made = new Pool({ connectionString: String(url), max: 1 });
        made.on("error", () => undefined);
        return { db: made, close: () => (closed.push(name), made.end()) };
      },
    });
    const blockOf = (snapshot: Snapshot) =>
      snapshot.servers[0]?.blocks.find(({ collector }) => collector === "user_tables");
    const namesIn = (snapshot: Snapshot): readonly (string | undefined)[] => [
      ...new Set(samplesOf(snapshot, "pg_stat_user_tables_n_tup_ins").map(({ labels }) => labels["datname"])),
    ];
    expect(namesIn(await watching.collect({ force: true }))).toEqual(expect.arrayContaining(["postgres", first.name]));
    await pool.query("create database unreachable");
    const snapshot = await watching.collect({ force: true });
    expect(valueOf(snapshot, "pg_up", primary)).toBe(1);
    expect(blockOf(snapshot)).toMatchObject({ success: false, error: expect.stringContaining("postgres_not_there") });
    expect(namesIn(snapshot)).toEqual(expect.arrayContaining(["postgres", first.name]));
    await pool.query("drop database unreachable");
    await pool.query(`drop database "${first.name}" with (force)`);
    const after = await watching.collect({ force: true });
    expect(closed).toEqual(expect.arrayContaining([first.name, "unreachable"]));
    expect(namesIn(after)).not.toContain(first.name);
    expect(blockOf(after)?.success).toBe(true);
    await watching.stop();
  });

  test("renders as Prometheus text with the names other tools know", async () => {
    const text = renderPrometheus(await monitor.collect());
    expect(text).toContain('\npg_up{server="primary"} 1\n');
    expect(text).toMatch(/\npg_stat_database_xact_commit\{server="primary",datid="\d+",datname="postgres"\} \d+\n/);
    expect(text).toMatch(/\npg_replication_is_replica\{server="replica-1"\} 1\n/);
  });
});

test("a started monitor collects by itself until it is stopped", async () => {
  const looping = createMonitor({ db: pool, intervalMs: 5 });
  const scrapes = (): number => valueOf(looping.snapshot(), "pg_exporter_scrapes_total", primary) ?? 0;
  await looping.start();
  await vi.waitFor(() => expect(scrapes()).toBeGreaterThan(3), settled);
  expect((await looping.health()).checks.map(({ name, status }) => [name, status])).toContainEqual([
    "primary:monitored",
    "pass",
  ]);
  expect(looping.series("connections", { from: 0, to: Date.now() + 1, stepMs: 1e15 }).length).toBeGreaterThan(0);
  await looping.stop();
  const after = scrapes();
  await looping.stop();
  expect(scrapes()).toBe(after);
});

test("a standby that is cut off is told from one that is idle", async () => {
  const events: string[] = [];
  const watching = createMonitor({
    db: pool,
    replicas: [{ name: "replica-1", db: replica }],
    overrides: [
      { rule: "PgStandbyDisconnected", forMs: 0 },
      { rule: "PgDown", forMs: 0 },
    ],
    onAlert: ({ kind, alert }) => void events.push(`${kind} ${alert.rule} ${alert.server}`),
  });
  await watching.collect({ force: true });
  await cluster.primary.stop();
  await vi.waitFor(async () => {
    await watching.collect({ force: true });
    expect(events).toContain("firing PgStandbyDisconnected replica-1");
    expect(events).toContain("firing PgDown primary");
  }, settled);
  const snapshot = watching.snapshot();
  // The lag everybody looks at says that nothing is wrong.
  expect(valueOf(snapshot, "pg_replication_lag_seconds", { server: "replica-1" })).toBe(0);
  expect(valueOf(snapshot, "pg_up", primary)).toBe(0);
  expect((await watching.health()).status).toBe("fail");
  await cluster.primary.start();
  await vi.waitFor(async () => {
    await watching.collect({ force: true });
    expect(events).toContain("cleared PgStandbyDisconnected replica-1");
    expect(events).toContain("cleared PgDown primary");
  }, settled);
});
