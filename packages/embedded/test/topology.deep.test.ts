import path from "node:path";
import { openLocalTopology } from "@db/embedded";
import { afterAll, expect, test } from "vitest";
import { startChild } from "./child.ts";
import { makeSandbox, withClient } from "./sandbox.ts";

const sandbox = await makeSandbox();
afterAll(() => sandbox.remove());
const directory = path.join(sandbox.path, ".db");

test("a topology that was made before opens within 3 seconds", async () => {
  await (await openLocalTopology({ directory })).close();
  const started = performance.now();
  await using topology = await openLocalTopology({ directory });
  expect(performance.now() - started).toBeLessThan(3_000);
  expect(topology.created).toBe(false);
});

test("a topology is healthy after SIGKILL at any of 25 moments, with every row that was committed", async () => {
  let committed = 0;
  for (let round = 0; round < 25; round += 1) {
    const child = startChild({ directory });
    // Spread over the whole life of a child: start of Node, opening, running.
    await new Promise((resolve) => setTimeout(resolve, 40 * round));
    child.process.kill("SIGKILL");
    await child.ended;
    await using topology = await openLocalTopology({ directory });
    expect(topology.created).toBe(false);
    await withClient(topology.primary.url, async (client) => {
      await client.query("create table if not exists visit (id int)");
      const { rows } = await client.query("select count(*)::int as count from visit");
      expect(rows).toEqual([{ count: committed }]);
      await client.query("insert into visit values (1)");
      committed += 1;
      expect((await client.query("select state from pg_stat_replication")).rows).toEqual([{ state: "streaming" }]);
    });
  }
});
