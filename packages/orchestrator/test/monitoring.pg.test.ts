import { loadConfig } from "@db/config";
import type { Clock } from "@db/core";
import { valueOf } from "@db/monitor";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createOrchestrator, type Orchestrator } from "../src/index.ts";
import { sampleApplication } from "./sample-application.ts";

const minuteMs = 60_000;
const start = Date.UTC(2026, 0, 1);

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(async () => {
  await cluster?.stop();
});

/** A clock that the test moves; nothing waits. */
const clockOf = (now: { at: number }): Clock => ({
  now: () => now.at,
  sleep: (_ms, signal) =>
    new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new Error("stopped")))),
});

async function open(url: string, now: { at: number }, overrides: Record<string, unknown> = {}): Promise<Orchestrator> {
  const { config } = await loadConfig({ env: { DATABASE_URL: url }, readFiles: false, overrides });
  return createOrchestrator(config, { application: sampleApplication, clock: clockOf(now) });
}

describe("monitoring", () => {
  test("tells of migrations that stay pending, and that they are applied", async () => {
    const now = { at: start };
    await using db = await open((await cluster.createDatabase()).url, now);
    const told: string[] = [];
    for (const kind of ["alert:firing", "alert:cleared"] as const)
      db.events.on(kind, ({ rule }) => void (rule === "MigrationPending" && told.push(kind)));
    await db.start(["monitoring"]);
    const pending = async (): Promise<number | undefined> =>
      valueOf(await db.monitor.collect(), "db_migrate_pending", {});
    await expect.poll(pending, { timeout: 20_000 }).toBe(1);
    expect(told).toEqual([]);
    now.at += 61 * minuteMs;
    await pending();
    expect(told).toEqual(["alert:firing"]);
    expect(db.monitor.findings()).toContainEqual(
      expect.objectContaining({ id: "DB-MIGRATIONS-PENDING", title: "migrations are pending: 1" }),
    );
    await db.migrations.apply(await db.migrations.plan());
    now.at += minuteMs;
    expect(await pending()).toBe(0);
    expect(told).toEqual(["alert:firing", "alert:cleared"]);
  });

  test("says nothing of migrations for a folder that was only asked about", async () => {
    await using db = await open((await cluster.createDatabase()).url, { at: start });
    await db.migrations.status({ directory: import.meta.dirname });
    expect(valueOf(await db.monitor.collect(), "db_migrate_pending", {})).toBeUndefined();
  });

  test("knows after a restart what it knew before, where the configuration has it kept", async () => {
    const { url } = await cluster.createDatabase();
    const known = async (from: number, overrides: Record<string, unknown>): Promise<number> => {
      const now = { at: from };
      await using db = await open(url, now, overrides);
      await db.start(["monitoring"]);
      for (let hour = 0; hour < 3; hour++) {
        await db.monitor.collect();
        now.at += 60 * minuteMs;
      }
      const lines = db.monitor.series("connections.used", { from: start, to: now.at, stepMs: 60 * minuteMs });
      return lines.flatMap(({ points }) => points).filter(([, value]) => value !== null).length;
    };
    expect(await known(start, { "monitor.history": true })).toBe(3);
    expect(await known(start + 180 * minuteMs, { "monitor.history": true })).toBe(6);
    // It is the setting that does it, and without it nothing is made in the database.
    expect(await known(start + 180 * minuteMs, {})).toBe(3);
    const other = (await cluster.createDatabase()).url;
    await using untouched = await open(other, { at: start });
    await untouched.start(["monitoring"]);
    await untouched.monitor.collect();
    const { rows } = await untouched.pool.query("select to_regnamespace('db_monitor') as made");
    expect(rows).toEqual([{ made: null }]);
  });
});
