import { describe, expect, test } from "vitest";
import { judgePool } from "./health.ts";
import { Histogram } from "./histogram.ts";
import { collectPoolMetrics } from "./metrics.ts";
import type { PoolStats, ServerStats } from "./stats.ts";

const empty = new Histogram().snapshot();
const server = (of: Partial<ServerStats> = {}): ServerStats => ({
  name: "db1:5432",
  role: "primary",
  state: "up",
  breaker: "closed",
  reason: undefined,
  allowed: 10,
  total: 3,
  idle: 1,
  checkedOut: 2,
  connecting: 0,
  waiting: 0,
  lagMs: undefined,
  lagBytes: undefined,
  timeline: 1,
  lsn: "0/1",
  serverVersion: 180_000,
  probedAt: "2026-01-01T00:00:00.000Z",
  probeMs: 0.42,
  connectionsOpened: 3,
  connectionsClosed: 0,
  connectionsFailed: 0,
  acquireTimeouts: 0,
  createTime: empty,
  waitTime: empty,
  useTime: empty,
  ...of,
});
const stats = (servers: readonly ServerStats[], of: Partial<PoolStats> = {}): PoolStats => ({
  max: 10,
  min: 0,
  total: 3,
  idle: 1,
  checkedOut: 2,
  connecting: 0,
  waiting: 0,
  paused: false,
  utilization: 0.2,
  queries: 0,
  failedQueries: 0,
  averageQueryMs: 0,
  queryTime: empty,
  slowQueries: 0,
  retries: 4,
  queryTimeouts: 0,
  queryAborts: 0,
  acquireTimeouts: 0,
  leaks: 0,
  failovers: 0,
  leftOpen: 0,
  idleFailures: 0,
  protocolErrors: 0,
  provider: undefined,
  servers,
  ...of,
});
const replica = (of: Partial<ServerStats>): ServerStats =>
  server({ name: "db2:5432", role: "standby", lagMs: 5, ...of });

describe("collectPoolMetrics", () => {
  const named = (name: string, of: PoolStats) =>
    collectPoolMetrics({ stats: () => of }).find((each) => each.name === name);

  test("labels by server, role and state, in base units", () => {
    const both = stats([server(), replica({ lagMs: 1_500 })]);
    expect(named("db_client_connection_count", both)?.samples).toContainEqual({
      labels: { server: "db1:5432", role: "primary", state: "used" },
      value: 2,
    });
    expect(named("db_pool_replica_lag_seconds", both)?.samples).toEqual([
      { labels: { server: "db2:5432", role: "standby" }, value: 1.5 },
    ]);
    expect(named("db_pool_retries_total", both)?.samples).toEqual([{ labels: {}, value: 4 }]);
  });

  test("counts cumulatively in histograms", () => {
    const times = new Histogram();
    for (const ms of [0.5, 3, 3, 20_000]) times.observeMs(ms);
    const [sample] = named(
      "db_client_connection_wait_time_seconds",
      stats([server({ waitTime: times.snapshot() })]),
    )!.samples;
    expect(sample).toMatchObject({ count: 4, sum: expect.closeTo(20.0065) });
    expect((sample as unknown as { buckets: { count: number }[] }).buckets.map(({ count }) => count)).toEqual([
      1, 3, 3, 3, 3, 3, 3, 3, 3, 4,
    ]);
  });
});

describe("judgePool", () => {
  const judge = (of: PoolStats, primary: string | undefined = "db1:5432") =>
    judgePool(of, { primary, maxReplicaLagMs: 1_000, closed: false, now: "2026-01-01T00:00:00.000Z" });

  test("passes while everything is well", () => {
    expect(judge(stats([server(), replica({})])).status).toBe("pass");
  });

  test("warns of a replica that is away or late, and of callers who wait", () => {
    expect(judge(stats([server(), replica({ state: "down" })])).status).toBe("warn");
    expect(judge(stats([server(), replica({ lagMs: 5_000 })])).status).toBe("warn");
    expect(judge(stats([server()], { waiting: 3, utilization: 1 })).status).toBe("warn");
  });

  test("fails without a primary, whatever the replicas do", () => {
    expect(judge(stats([server({ state: "down" }), replica({})])).status).toBe("fail");
    expect(
      judgePool(stats([replica({})]), { primary: undefined, maxReplicaLagMs: 1, closed: false, now: "" }).status,
    ).toBe("fail");
  });

  test("names no server, for checks are shown to strangers", () => {
    expect(JSON.stringify(judge(stats([server(), replica({ state: "refused" })])).checks)).not.toContain("db1");
  });
});
