import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  createMonitor,
  type Monitor,
  renderOpenMetrics,
  renderPrometheus,
  renderPrometheusRules,
  topQueries,
  valueOf,
} from "@db/monitor";
import { startCluster } from "@db/testkit";
import { type Client, Pool } from "pg";
import { describe, expect, test, vi } from "vitest";
import { missingMetrics } from "./coverage.ts";
import { prepareScenario, scenarioSettings } from "./scenario.ts";

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;
if (!hasPromtool) console.warn("promtool is not installed: what it would check is skipped");

describe.each([12, 13, 14, 15, 16, 17, 18])("PostgreSQL %i", (version) => {
  test("gives every metric of its registry on primary and standby, and follows a promotion", async () => {
    await using cluster = await startCluster({
      version,
      replicas: 1,
      archive: true,
      settings: scenarioSettings(version),
    });
    const client = await cluster.connect();
    await prepareScenario(cluster, client);
    const pool = cluster.createPool({ max: 1 });
    const replica = new Pool({ connectionString: cluster.replicas[0].url, max: 1 });
    const events: string[] = [];
    const monitor = createMonitor({
      db: pool,
      replicas: [{ name: "replica-1", db: replica }],
      onAlert: ({ kind, alert }) => void events.push(`${kind} ${alert.rule} ${alert.server}`),
    });
    try {
      const snapshot = await monitor.collect({ force: true });
      expect(snapshot.servers.flatMap(({ blocks }) => blocks.flatMap(({ error }) => error ?? []))).toEqual([]);
      expect(missingMetrics(snapshot)).toEqual([]);
      expect(topQueries(snapshot).length).toBeGreaterThan(3);
      if (hasPromtool) expect(promtoolCheck(renderPrometheus(snapshot))).toBe("");
      expect(renderOpenMetrics(snapshot).endsWith("# EOF\n")).toBe(true);

      await lockWaitIsSeen(monitor, client, () => cluster.connect());

      await client.query("rollback prepared 'forgotten'");
      await cluster.replicas[0].promote();
      await vi.waitFor(async () => {
        const after = await monitor.collect({ force: true });
        expect(valueOf(after, "pg_replication_is_replica", { server: "replica-1" })).toBe(0);
      });
      expect(events).toContain("firing PgRoleChanged replica-1");
      expect(monitor.alerts().map(({ rule }) => rule)).toContain("PgSplitBrain");
      expect(monitor.snapshot().servers[1]?.role).toBe("primary");
    } finally {
      await client.end();
      await Promise.all([pool.end(), replica.end()]);
    }
  });
});

async function lockWaitIsSeen(monitor: Monitor, holder: Client, connect: () => Promise<Client>): Promise<void> {
  const waiter = await connect();
  await holder.query("begin; lock table kept");
  const waiting = waiter.query("select from kept");
  await vi.waitFor(async () => {
    const snapshot = await monitor.collect({ force: true });
    expect(valueOf(snapshot, "pg_stat_activity_max_lock_wait_seconds", { server: "primary" })).toBeGreaterThan(0);
    expect(snapshot.servers[0]?.facts.blocking?.map(({ blockedBy }) => blockedBy.length).toSorted()).toEqual([0, 1]);
  });
  await holder.query("rollback");
  await waiting;
  await waiter.end();
}

test.skipIf(!hasPromtool)("promtool accepts the exported rules", async () => {
  const directory = await mkdtemp(path.join(tmpdir(), "rules-"));
  try {
    const file = path.join(directory, "rules.yml");
    await writeFile(file, renderPrometheusRules());
    expect(spawnSync("promtool", ["check", "rules", file], { encoding: "utf8" })).toMatchObject({ status: 0 });
  } finally {
    await rm(directory, { recursive: true });
  }
});

/** What promtool has against the text, without its advice on names that other tools gave long ago. */
function promtoolCheck(input: string): string {
  const { status, stderr } = spawnSync("promtool", ["check", "metrics"], { input, encoding: "utf8" });
  // 3 means the text was read and has lint remarks; 1 that it could not be read.
  return status === 0 || status === 3 ? "" : stderr;
}
