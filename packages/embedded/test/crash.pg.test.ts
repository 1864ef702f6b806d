import { readFile } from "node:fs/promises";
import path from "node:path";
import { childrenOf, identify, openLocalTopology, recoverClusters } from "@db/embedded";
import { afterAll, describe, expect, test } from "vitest";
import { startChild, type TopologyChild } from "./child.ts";
import { eventually, makeSandbox, withClient } from "./sandbox.ts";

const sandbox = await makeSandbox();
afterAll(() => sandbox.remove());
const directory = path.join(sandbox.path, ".db");

async function kill(child: TopologyChild): Promise<void> {
  child.process.kill("SIGKILL");
  await child.ended;
}

/** Ends the guard too, as when the whole machine's memory runs out. */
async function killWithGuard(child: TopologyChild): Promise<void> {
  const children = await childrenOf(child.process.pid!);
  const commands = await Promise.all(
    children.map(async (pid) => ({ pid, text: await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "") })),
  );
  const guards = commands.filter(({ text }) => text.includes("db-guard"));
  // Stopped first: one that sees its process gone would end the servers before it is ended itself.
  for (const { pid } of guards) process.kill(pid, "SIGSTOP");
  child.process.kill("SIGKILL");
  for (const { pid } of guards) process.kill(pid, "SIGKILL");
  await child.ended;
}

async function postmasterPid(name: string): Promise<number> {
  const text = await readFile(path.join(directory, name, "data", "postmaster.pid"), "utf8");
  return Number.parseInt(text, 10);
}

async function expectHealthy(): Promise<void> {
  await using topology = await openLocalTopology({ directory, durable: false });
  await withClient(topology.primary.url, async (client) => {
    await client.query("create table if not exists visit (id int generated always as identity)");
    await client.query("insert into visit default values");
    const { rows } = await client.query("select state from pg_stat_replication");
    expect(rows).toEqual([{ state: "streaming" }]);
  });
}

describe("a process killed by SIGKILL", () => {
  // Steps as the child tells them; the delay lands within the step.
  const moments: readonly (readonly [string, number])[] = [
    ["looking for", 0],
    ["making", 60],
    ["making", 400],
    ["preparing replicas", 30],
    ["preparing replicas", 130],
    ["starting the primary", 10],
    ["starting the replicas", 20],
    ["the database is up", 0],
  ];
  for (const [index, [step, delayMs]] of moments.entries()) {
    test(`leaves what the next open mends: ${delayMs} ms into "${step}"`, async () => {
      const child = startChild({ directory, durable: false, fresh: index > 0 });
      await child.until(({ event, message }) => event === "progress" && message!.startsWith(step));
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await kill(child);
      await expectHealthy();
    });
  }

  test("leaves no server running", async () => {
    const child = startChild({ directory, durable: false });
    await child.until(({ event }) => event === "open");
    const pids = await Promise.all([postmasterPid("primary"), postmasterPid("replica_1")]);
    await kill(child);
    await eventually(async () => (await Promise.all(pids.map(identify))).every((found) => found === undefined));
    await expectHealthy();
  });

  test.runIf(process.platform === "linux")(
    "leaves servers that the next open stops, when its guard died too",
    async () => {
      const child = startChild({ directory, durable: false });
      await child.until(({ event }) => event === "open");
      await killWithGuard(child);
      expect(await identify(await postmasterPid("primary"))).toBeDefined();
      await using topology = await openLocalTopology({ directory, durable: false });
      expect(topology.recovered.map(({ outcome }) => outcome)).toEqual(["stopped", "stopped"]);
      expect(topology.rebuilt).toEqual([]);
      await withClient(topology.primary.url, (client) => client.query("select from visit"));
    },
  );

  test.runIf(process.platform === "linux")("leaves servers that recoverClusters stops on request", async () => {
    const child = startChild({ directory, durable: false });
    await child.until(({ event }) => event === "open");
    await killWithGuard(child);
    expect(await recoverClusters(directory)).toHaveLength(2);
    expect(await recoverClusters(directory)).toEqual([]);
  });

  test("survives the death of every server as well", async () => {
    const child = startChild({ directory, durable: false });
    await child.until(({ event }) => event === "open");
    const pids = await Promise.all([postmasterPid("primary"), postmasterPid("replica_1")]);
    for (const pid of pids) process.kill(pid, "SIGKILL");
    await kill(child);
    await expectHealthy();
  });
});
