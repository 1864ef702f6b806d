import { createPool, patroni, type PoolOptions } from "@db/pool";
import { missingForPatroni, type PatroniCluster, startPatroni } from "@db/testkit";
import { describe, expect, onTestFinished, test } from "vitest";
import { Writers } from "./writers.ts";

const missing = await missingForPatroni();
if (missing) console.warn(`the tests of a Patroni cluster are left out: this machine ${missing}`);

const options: Partial<PoolOptions> = {
  probeIntervalMs: 100,
  probeTimeoutMs: 500,
  failoverTimeoutMs: 60_000,
  acquireTimeoutMs: 10_000,
  retry: { retries: 100, maxDelayMs: 200, budgetReserve: 10_000 },
};
const waiting = { timeout: 90_000 };

describe.skipIf(missing)("a Patroni cluster", () => {
  test("is failed over by kill, by freeze and by switchover, and every acknowledged row is there once", async () => {
    const cluster: PatroniCluster = await startPatroni();
    onTestFinished(() => cluster[Symbol.asyncDispose](), 60_000);
    const pool = createPool({ primaryUrl: cluster.url, ...options });
    const proxied = createPool({ primaryUrl: cluster.proxyUrl, ...options });
    onTestFinished(
      async () => void (await Promise.all([pool.drain({ timeoutMs: 0 }), proxied.drain({ timeoutMs: 0 })])),
    );
    await pool.query("create table op (id int)");
    await pool.query("create table op_proxied (id int)");
    const writers = [new Writers(pool, "op"), new Writers(proxied, "op_proxied")];
    const resume = () => Promise.all(writers.map((each) => each.resume()));
    await resume();

    const changeLeader = async (change: () => Promise<void>): Promise<void> => {
      const before = await cluster.leader();
      await change();
      await expect.poll(async () => (await cluster.leader()).name, waiting).not.toBe(before.name);
      await resume();
      expect(pool.stats().failovers).toBeGreaterThan(0);
    };

    const killed = await cluster.leader();
    await changeLeader(() => killed.kill());
    killed.restart();
    await cluster.healthy();

    const frozen = await cluster.leader();
    await changeLeader(() => frozen.freeze());
    // The old primary believes in itself until its agent looks again: nothing of ours may land on it.
    const failuresBefore = writers[0]!.acknowledged.length;
    frozen.thaw();
    await cluster.healthy();
    await resume();
    expect(writers[0]!.acknowledged.length).toBeGreaterThan(failuresBefore);

    await changeLeader(() => cluster.switchover());
    await cluster.healthy();
    await resume();
    await Promise.all(writers.map((each) => each.stop()));

    for (const each of writers) await each.check(pool);
    const [direct, throughProxy] = writers.map(({ summary }) => summary);
    console.info("rows over three failovers", { direct, throughProxy });
    expect(pool.stats().failovers).toBeGreaterThanOrEqual(3);
  });

  test("is followed through a switchover by a pool that was told of one member and one agent", async () => {
    const cluster: PatroniCluster = await startPatroni();
    onTestFinished(() => cluster[Symbol.asyncDispose](), 60_000);
    await cluster.healthy();
    const before = await cluster.leader();
    // Not the leader's agent: whichever answers tells of all.
    const other = cluster.nodes.find(({ name }) => name !== before.name)!;
    const pool = createPool({
      primaryUrl: before.url,
      topology: patroni({ urls: [other.restUrl], intervalMs: 200 }),
      ...options,
    });
    onTestFinished(async () => void (await pool.drain({ timeoutMs: 0 })));
    await pool.start();
    const names = () =>
      pool
        .stats()
        .servers.map(({ name }) => name)
        .sort();
    const all = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).sort();
    await expect.poll(names, waiting).toEqual(all);

    await pool.query("create table op_told (id int)");
    const writers = new Writers(pool, "op_told");
    await writers.resume();
    await cluster.switchover();
    await expect.poll(async () => (await cluster.leader()).name, waiting).not.toBe(before.name);
    await writers.resume();
    await cluster.healthy();
    await writers.resume();
    await writers.stop();

    await writers.check(pool);
    const leader = await cluster.leader();
    const { rows } = await pool.query<{ port: number }>("select current_setting('port')::int as port");
    expect(rows).toEqual([{ port: leader.port }]);
    await expect.poll(names, waiting).toEqual(all);
    expect(pool.stats().failovers).toBeGreaterThanOrEqual(1);
    console.info("rows over a switchover told by Patroni", writers.summary);
  });
});
