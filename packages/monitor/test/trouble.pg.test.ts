import { isDbError } from "@db/core";
import { createMonitor, valueOf } from "@db/monitor";
import { startCluster, startScriptedServer, type TestCluster } from "@db/testkit";
import { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

let cluster: TestCluster<0>;

beforeAll(async () => {
  cluster = await startCluster({ settings: { shared_preload_libraries: "auto_explain" } });
});

afterAll(async () => {
  await cluster?.stop();
});

const primary = { server: "primary" } as const;
const poolOn = (url: string): Pool => {
  const pool = new Pool({ connectionString: url, max: 1 });
  pool.on("error", () => undefined);
  return pool;
};

describe("a server without pg_stat_statements", () => {
  test("is a finding, not an error, and its command adds the library to those that are there", async () => {
    const pool = poolOn(cluster.primary.url);
    const monitor = createMonitor({ db: pool });
    const snapshot = await monitor.collect();
    expect(snapshot.servers[0]?.blocks.filter(({ success }) => !success)).toEqual([]);
    const command = monitor.findings().find(({ id }) => id === "PG-STATEMENTS-MISSING")?.command;
    await pool.query(command ?? "");
    const { rows } = await pool.query(
      "select setting from pg_file_settings where name = 'shared_preload_libraries' order by seqno desc limit 1",
    );
    await pool.query("alter system reset shared_preload_libraries");
    await pool.end();
    expect(rows).toEqual([{ setting: "auto_explain, pg_stat_statements" }]);
  });
});

describe("a role without rights", () => {
  test("is a finding that names the grant, and what it may read is read", async () => {
    const admin = await cluster.connect();
    await admin.query(`create role "little one" login password 'x'`);
    await admin.end();
    const url = new URL(cluster.primary.url);
    url.username = encodeURIComponent("little one");
    url.password = "x";
    const pool = poolOn(url.href);
    const monitor = createMonitor({ db: pool });
    // It cannot see who waits, but how long somebody has.
    const [holder, waiter] = [await cluster.connect(), await cluster.connect()];
    await holder.query("begin; lock table pg_description");
    const waiting = waiter.query("begin; lock table pg_description").catch(() => undefined);
    let snapshot = await monitor.collect();
    await vi.waitFor(async () => {
      snapshot = await monitor.collect();
      expect(valueOf(snapshot, "pg_stat_activity_max_lock_wait_seconds", primary)).toBeGreaterThan(0);
    });
    await holder.end();
    await waiting;
    await waiter.end();
    await pool.end();
    expect(snapshot.servers[0]?.up).toBe(true);
    expect(valueOf(snapshot, "pg_settings_max_connections", primary)).toBe(100);
    const failed = snapshot.servers[0]?.blocks.filter(({ success }) => !success).map(({ collector }) => collector);
    expect(failed).toEqual(["archive_status", "wal_directory"]);
    expect(monitor.findings().find(({ id }) => id === "PG-MONITOR-ROLE")?.command).toBe(
      'grant pg_monitor to "little one";',
    );
  });
});

describe("a view that may not be read", () => {
  test("costs its own metrics, and comes back by itself", async () => {
    const admin = await cluster.connect();
    const { rows } = await admin.query("select oid from pg_roles where rolname = 'watcher'");
    if (rows.length === 0) await admin.query("create role watcher login password 'x' in role pg_monitor");
    const url = new URL(cluster.primary.url);
    url.username = "watcher";
    url.password = "x";
    const pool = new Pool({ connectionString: url.href, max: 1, application_name: "db-monitor" });
    const monitor = createMonitor({ db: pool });
    const failed = async (): Promise<readonly string[]> =>
      (await monitor.collect()).servers[0]!.blocks.filter(({ success }) => !success).map(({ collector }) => collector);
    try {
      await admin.query("revoke select on pg_catalog.pg_stat_archiver from public");
      expect(await failed()).toEqual(["stat_archiver", "stats_reset"]);
      expect(await failed()).toEqual(["stat_archiver", "stats_reset"]);
      expect(valueOf(monitor.snapshot(), "pg_stat_database_numbackends", { datname: "postgres" })).toBeGreaterThan(0);
      await admin.query("grant select on pg_catalog.pg_stat_archiver to public");
      expect(await failed()).toEqual(["stats_reset"]);
      await monitor.collect({ force: true });
      expect(await failed()).toEqual([]);
      expect(valueOf(monitor.snapshot(), "pg_stat_archiver_failed_count", primary)).toBe(0);
    } finally {
      await admin.query("grant select on pg_catalog.pg_stat_archiver to public");
      await admin.end();
      await pool.end();
    }
  });
});

describe("a server that hangs", () => {
  test("counts as down within the time allowed, keeps its last values, and comes back", async () => {
    const pool = new Pool({ connectionString: cluster.primary.url, max: 5 });
    pool.on("error", () => undefined);
    const monitor = createMonitor({ db: pool, collectTimeoutMs: 1000 });
    // On a busy machine the last collectors may have to wait for the next collection.
    await vi.waitFor(
      async () =>
        expect(valueOf(await monitor.collect({ force: true }), "pg_settings_max_connections", primary)).toBe(100),
      { timeout: 30_000 },
    );
    await cluster.primary.freeze();
    const startedAt = performance.now();
    const snapshot = await monitor.collect();
    expect(performance.now() - startedAt).toBeLessThan(2500);
    expect(valueOf(snapshot, "pg_up", primary)).toBe(0);
    expect(snapshot.servers[0]?.error).toContain("no answer within 1000 ms");
    expect(valueOf(snapshot, "pg_settings_max_connections", primary)).toBe(100);
    // The connection that hangs is destroyed, not lent again, and no others pile up behind it.
    await vi.waitFor(() => expect(pool.totalCount).toBe(0));
    await monitor.collect();
    await monitor.collect();
    await monitor.collect();
    expect(pool.totalCount + pool.waitingCount).toBeLessThanOrEqual(1);
    await cluster.primary.thaw();
    await vi.waitFor(async () => expect(valueOf(await monitor.collect(), "pg_up", primary)).toBe(1), {
      timeout: 20_000,
      interval: 50,
    });
    await pool.end();
  });

  test("does not hold up who stops waiting", async () => {
    const pool = poolOn(cluster.primary.url);
    const monitor = createMonitor({ db: pool, collectTimeoutMs: 500 });
    await cluster.primary.freeze();
    const collecting = monitor.collect({ signal: AbortSignal.timeout(20) });
    await expect(collecting).rejects.toSatisfy((error) => isDbError(error, "CORE_ABORTED"));
    await cluster.primary.thaw();
    await monitor.stop();
    await pool.end();
  });
});

describe("a server that is away", () => {
  test("is down, not an error, and its address is told to nobody", async () => {
    const pool = poolOn("postgres://nobody:secret@127.0.0.1:1/none");
    const monitor = createMonitor({ db: pool });
    await monitor.start();
    const health = await monitor.health();
    expect(health.status).toBe("fail");
    expect(JSON.stringify(health)).not.toMatch(/127\.0\.0\.1|nobody|secret/);
    expect(monitor.snapshot().servers[0]).toMatchObject({ up: false, role: "unknown" });
    await monitor.stop();
    await pool.end();
  });
});

describe("a server older than 12", () => {
  test("is refused with an error that says so", async () => {
    await using server = await startScriptedServer(async (connection) => {
      await connection.welcome();
      await connection.serve(() => ({ columns: ["version_num", "standby"], rows: [["110022", "f"]] }));
    });
    const pool = poolOn(server.url);
    const monitor = createMonitor({ db: pool });
    await expect(monitor.start()).rejects.toMatchObject({
      code: "MONITOR_UNSUPPORTED_SERVER",
      message: 'server "primary" runs PostgreSQL 11, monitoring needs 12 or later',
    });
    expect((await monitor.health()).status).toBe("fail");
    await pool.end();
  });
});

test("options that contradict themselves are all told at once", () => {
  const db = { query: () => Promise.reject(new Error("never")), totalCount: 0, connect: () => Promise.reject() };
  expect(() =>
    createMonitor({
      db,
      replicas: [{ name: "primary", db, databases: [db], connectDatabase: () => ({ db, close: async () => {} }) }],
      intervalMs: 0,
      overrides: [{ rule: "Nope" }],
      blackouts: [{ from: "02:00", to: "02:00" }],
    }),
  ).toThrow(
    'invalid monitor options: intervalMs must be greater than 0, got 0; "primary" has databases and connectDatabase, ' +
      'which would find them once more: give one; two servers are named "primary"; ' +
      'an override names the rule "Nope", which does not exist; ' +
      'blackouts[0] begins and ends at "02:00": "00:00" to "24:00" is the whole day',
  );
});
