import { spawnSync } from "node:child_process";
import { createPool } from "@db/pool";
import { registerPoolMetrics } from "@db/pool/prometheus";
import { startCluster, type TestCluster } from "@db/testkit";
import { Counter, Registry } from "prom-client";
import { afterAll, beforeAll, expect, test } from "vitest";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(() => cluster.stop());

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;
if (!hasPromtool) console.warn("promtool is not installed: what it would check is skipped");

const line = (text: string, start: string): string | undefined =>
  text.split("\n").find((each) => each.startsWith(start));

test("a registry shows its own metrics and those of every pool that joined it, as of now", async () => {
  await using first = createPool({ primaryUrl: cluster.primary.url });
  await using second = createPool({ primaryUrl: cluster.primary.url });
  const registry = new Registry();
  new Counter({ name: "own_total", help: "Own.", registers: [registry] }).inc();
  registerPoolMetrics(registry, first, { name: "first" });
  const joined = registerPoolMetrics(registry, second, { name: "second" });
  await first.query("select 1");
  await expect(first.query("select 1/0")).rejects.toMatchObject({ code: "22012" });
  const text = await registry.metrics();
  expect(text).toContain("own_total 1");
  expect(text).toContain('db_pool_query_failures_total{db_client_connection_pool_name="first"} 1');
  expect(text).toContain('db_pool_query_failures_total{db_client_connection_pool_name="second"} 0');
  expect(line(text, 'db_client_operation_duration_seconds_count{db_client_connection_pool_name="first"}')).toMatch(
    / 2$/,
  );
  expect(text).toMatch(/db_client_connection_max\{.*pool_name="first".*server="127.0.0.1:\d+".*\} 10/);

  joined[Symbol.dispose]();
  expect(await registry.metrics()).not.toContain('"second"');
});

test("what a registry prints passes promtool, in both formats of Prometheus", async () => {
  await using pool = createPool({ primaryUrl: cluster.primary.url });
  await pool.query("select 1");
  const registry = new Registry();
  registerPoolMetrics(registry, pool);
  const open = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>();
  open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  registerPoolMetrics(open, pool);
  const openText = await open.metrics();
  expect(openText).toContain("# TYPE db_pool_retries counter");
  expect(line(openText, "db_pool_retries_total")).toMatch(/ 0$/);
  expect(openText.endsWith("# EOF\n")).toBe(true);
  if (!hasPromtool) return;
  const checked = spawnSync("promtool", ["check", "metrics"], { input: await registry.metrics(), encoding: "utf8" });
  // It reads everything; OpenTelemetry's name for the number of connections is the one thing it finds odd.
  const oddity = 'db_client_connection_count non-histogram and non-summary metrics should not have "_count" suffix';
  expect(checked.stderr.trim()).toBe(oddity);
});
