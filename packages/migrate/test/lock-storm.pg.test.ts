import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyMigrations, planMigrations } from "../src/index.ts";
import { makeWorkspace } from "./workspace.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

const writers = 12;
const retriesWanted = 6;

/** Writes rows of a table one after the other until it is told to stop. */
async function write(
  url: string,
  number: number,
  seen: { writes: number; stop: boolean; longestMs: number },
): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    // A writer that stands in line for longer than this fails, and the test with it.
    await client.query("set lock_timeout = '10s'");
    while (!seen.stop) {
      const began = performance.now();
      await client.query("update busy set n = n + 1 where id = $1", [number]);
      seen.longestMs = Math.max(seen.longestMs, performance.now() - began);
      seen.writes++;
    }
  } finally {
    await client.end();
  }
}

test("a migration behind a long reader lets the writers through again and again, until it gets its lock", async () => {
  const { url } = await cluster.createDatabase();
  const client = new Client({ connectionString: url });
  const reader = new Client({ connectionString: url });
  await client.connect();
  await reader.connect();
  await client.query(
    "create table busy (id int primary key, n int); insert into busy select generate_series(1, 100), 0",
  );
  await reader.query("begin; select count(*) from busy");
  await using files = await makeWorkspace({
    "0001_wide.sql": "-- migrate:up lock_timeout=100ms retries=200\nalter table busy add column more text;",
  });
  const seen = { writes: 0, stop: false, longestMs: 0 };
  const running = Array.from({ length: writers }, (_, index) => write(url, index + 1, seen));
  const pauses: number[] = [];
  const between: number[] = [];
  let released: Promise<unknown> | undefined;
  let before = 0;
  try {
    const report = await applyMigrations(client, await planMigrations(client, files), {
      onEvent: (event) => {
        if (event.type !== "lock-retry") return;
        pauses.push(event.pauseMs);
        between.push(seen.writes - before);
        before = seen.writes;
        if (pauses.length === retriesWanted) released = reader.query("commit");
      },
    });
    await released;
    expect(report.applied[0]?.attempts).toBe(pauses.length + 1);
  } finally {
    seen.stop = true;
    await Promise.all(running);
    await reader.end();
  }
  console.log(`${pauses.length} retries, ${seen.writes} writes, the longest ${Math.round(seen.longestMs)} ms`);
  expect(pauses.length).toBeGreaterThanOrEqual(retriesWanted);
  expect(
    between.slice(1).every((count) => count > 0),
    `writes between the retries: ${between.join()}`,
  ).toBe(true);
  // Never the same pause twice: two runners that met once do not meet again and again.
  expect(new Set(pauses).size).toBe(pauses.length);
  const { rows } = await client.query("select sum(n)::int as n, count(more)::int as more from busy");
  expect(rows).toEqual([{ n: seen.writes, more: 0 }]);
  await client.end();
});
