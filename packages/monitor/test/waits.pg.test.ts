import { createMonitor, samplesOf } from "@db/monitor";
import { startCluster, type TestCluster } from "@db/testkit";
import { Pool } from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

let cluster: TestCluster<0>;
let own: Pool;

beforeAll(async () => {
  cluster = await startCluster({ settings: { compute_query_id: "on" } });
  own = new Pool({ connectionString: cluster.primary.url, max: 2, application_name: "db-monitor" });
});

afterAll(async () => {
  await own?.end();
  await cluster?.stop();
});

const settled = { timeout: 20_000, interval: 20 };

test("a started monitor samples what active sessions wait for, and in which statement", async () => {
  const [holder, waiter] = [await cluster.connect(), await cluster.connect()];
  await holder.query("create table held (id int primary key); insert into held values (1)");
  await holder.query("begin; update held set id = 1");
  const monitor = createMonitor({ db: own, waits: { intervalMs: 10 }, intervalMs: 50 });
  await monitor.start();
  const waiting = waiter.query("update held set id = 1 where id = 1");
  const span = { from: 0, to: Number.MAX_SAFE_INTEGER };
  await vi.waitFor(() => {
    const [spans] = monitor.waits({ ...span, stepMs: Number.MAX_SAFE_INTEGER });
    expect(spans?.load.map(({ type, event }) => `${type}:${event}`)).toContain("Lock:transactionid");
  }, settled);
  const [query] = monitor.waitQueries(span);
  await holder.query("rollback");
  await waiting;
  expect(query).toMatchObject({ database: "postgres", waits: [{ type: "Lock", event: "transactionid" }] });
  expect(query?.queryId).toMatch(/^-?\d+$/);
  await vi.waitFor(async () => {
    const snapshot = await monitor.collect();
    const seconds = samplesOf(snapshot, "pg_wait_sampling_seconds_total");
    expect(seconds.find(({ labels }) => labels["wait_event"] === "transactionid")?.value).toBeGreaterThan(0);
  }, settled);
  await monitor.stop();
  await Promise.all([holder.end(), waiter.end()]);
});

test("sampling turned off leaves no trace", async () => {
  const monitor = createMonitor({ db: own, waits: false });
  const snapshot = await monitor.collect();
  expect(samplesOf(snapshot, "pg_wait_sampling_samples_total")).toEqual([]);
  expect(monitor.waits({ from: 0, to: Number.MAX_SAFE_INTEGER, stepMs: 1e9 })).toEqual([]);
});

test("a setting that is changed is told, from what to what, and clears when nothing more changes", async () => {
  let passed = 0;
  const monitor = createMonitor({
    db: own,
    clock: { now: () => Date.now() + passed, sleep: () => Promise.resolve() },
  });
  const admin = await cluster.connect();
  await monitor.collect();
  await admin.query("alter system set work_mem = '5MB'");
  await admin.query("select pg_reload_conf()");
  const firing = (): boolean => monitor.alerts().some(({ rule }) => rule === "PgConfigChanged");
  await vi.waitFor(async () => {
    passed += 60_000;
    await monitor.collect();
    expect(firing()).toBe(true);
  }, settled);
  expect(monitor.snapshot().servers[0]?.facts.changedSettings).toMatchObject([
    { name: "work_mem", from: "4096", to: "5120", unit: "kB" },
  ]);
  for (let i = 0; i < 7; i++) {
    passed += 60_000;
    await monitor.collect();
  }
  expect(firing()).toBe(false);
  await admin.query("alter system reset work_mem");
  await admin.end();
});

test("a sample is planned once a session", async () => {
  const single = new Pool({ connectionString: cluster.primary.url, max: 1, application_name: "db-monitor" });
  const monitor = createMonitor({ db: single, waits: { intervalMs: 10 } });
  await monitor.start();
  await vi.waitFor(async () => {
    const { rows } = await single.query<{ runs: number }>(
      "select (generic_plans + custom_plans)::int as runs from pg_prepared_statements where statement like '%query_id%'",
    );
    expect(rows.map(({ runs }) => runs > 2)).toEqual([true]);
  }, settled);
  await monitor.stop();
  await single.end();
});
