import { createPool, createQueryCache, type PoolOptions } from "@db/pool";
import { type FaultProxy, startCluster, startFaultProxy, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(() => cluster.stop());

/** A clock of the test's own for ages; waiting is real. */
function handClock(): { now(): number; sleep(ms: number, signal?: AbortSignal): Promise<void>; at: number } {
  return {
    at: 1_000_000,
    now() {
      return this.at;
    },
    sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
  };
}

async function rig(options: Partial<PoolOptions> = {}) {
  const { url } = await cluster.createDatabase();
  const pool = createPool({ primaryUrl: url, ...options });
  await pool.query("create table bill (id int primary key, title text, doc jsonb)");
  await pool.query(`insert into bill values (1, 'water', '{"tags": ["a"]}'), (2, 'roads', null)`);
  return { pool, url, [Symbol.asyncDispose]: () => pool.stop() };
}

const title = "select title from bill where id = $1";

describe("a query cache", () => {
  test("answers from memory until the time is over or the answer is invalidated", async () => {
    await using made = await rig();
    const clock = handClock();
    const cache = createQueryCache(made.pool, { ttlMs: 1_000, clock });
    const ask = (id: number) => cache.query<{ title: string }>(title, [id], { about: [`bill:${id}`, "bill"] });
    expect(await ask(1)).toEqual({ rows: [{ title: "water" }], source: "database", ageMs: 0 });
    await made.pool.query("update bill set title = 'rivers' where id = 1");
    clock.at += 999;
    expect(await ask(1)).toEqual({ rows: [{ title: "water" }], source: "cache", ageMs: 999 });
    await ask(2);
    cache.invalidate({ about: "bill:1" });
    expect(await ask(1)).toMatchObject({ rows: [{ title: "rivers" }], source: "database" });
    expect(await ask(2)).toMatchObject({ source: "cache" });
    clock.at += 1_000;
    expect(await ask(1)).toMatchObject({ source: "database" });
    cache.invalidate({ about: ["bill"] });
    expect(cache.stats()).toMatchObject({ entries: 0, bytes: 0, hits: 2, misses: 4, invalidations: 2 });
  });

  test("asks once for everybody who asks the same at the same time", async () => {
    await using made = await rig();
    const cache = createQueryCache(made.pool);
    const slow = "select pg_sleep(0.1), count(*)::int as n from bill";
    const answers = await Promise.all(Array.from({ length: 20 }, () => cache.query<{ n: number }>(slow)));
    expect(answers.map(({ rows }) => rows[0]!.n)).toEqual(answers.map(() => 2));
    expect(cache.stats()).toMatchObject({ misses: 1, joined: 19 });
    expect(made.pool.stats().queries).toBe(3);
  });

  test("keeps nothing that was asked before an invalidation and answered after it", async () => {
    await using made = await rig();
    const cache = createQueryCache(made.pool);
    const holder = await made.pool.connect();
    await holder.query("begin");
    await holder.query("lock table bill");
    const waiting = cache.query<{ title: string }>(title, [1], { about: ["bill"] });
    const blocked = "select count(*)::int as n from pg_locks where not granted";
    await expect.poll(async () => (await made.pool.query<{ n: number }>(blocked)).rows[0]!.n).toBe(1);
    cache.invalidate({ about: "bill" });
    await holder.query("commit");
    holder.release();
    expect((await waiting).rows).toEqual([{ title: "water" }]);
    expect(cache.stats().entries).toBe(0);
    expect(await cache.query(title, [1])).toMatchObject({ source: "database" });
  });

  test("lets one caller give up without the others, and stops the server when all have", async () => {
    await using made = await rig();
    const cache = createQueryCache(made.pool);
    const [first, second] = [new AbortController(), new AbortController()];
    const slow = "select pg_sleep(30) as slow";
    const asked = [first, second].map(({ signal }) => cache.query(slow, [], { signal }));
    const settled = Promise.allSettled(asked);
    const running = "select count(*)::int as n from pg_stat_activity where query = $1 and state = 'active'";
    const count = async () => (await made.pool.query<{ n: number }>(running, [slow])).rows[0]!.n;
    await expect.poll(count).toBe(1);
    first.abort();
    await expect(asked[0]).rejects.toMatchObject({ code: "CORE_ABORTED" });
    expect(await count()).toBe(1);
    second.abort();
    await settled;
    await expect.poll(count).toBe(0);
  });

  test("shares no answer between settings, and nobody can change it for others", async () => {
    await using made = await rig();
    const cache = createQueryCache(made.pool);
    const who = "select current_setting('app.tenant', true) as tenant";
    const as = async (tenant: string) =>
      (await cache.query<{ tenant: string }>(who, [], { key: "who", settings: { "app.tenant": tenant } })).rows[0]!
        .tenant;
    expect([await as("1"), await as("2"), await as("1")]).toEqual(["1", "2", "1"]);
    cache.invalidate({ key: "who" });
    expect(cache.stats()).toMatchObject({ entries: 0, hits: 1 });
    const { rows } = await cache.query<{ doc: { tags: string[] } }>("select doc from bill where id = 1");
    expect(() => rows[0]!.doc.tags.push("b")).toThrow(TypeError);
  });

  test("stays within its entries and bytes, the least recently used going first", async () => {
    await using made = await rig();
    const few = createQueryCache(made.pool, { maxEntries: 2 });
    for (const id of [1, 2, 1, 3]) await few.query(title, [id]);
    expect(await few.query(title, [1])).toMatchObject({ source: "cache" });
    expect(await few.query(title, [2])).toMatchObject({ source: "database" });
    const small = createQueryCache(made.pool, { maxBytes: 8_000 });
    await small.query("select repeat('x', 10000) as text");
    expect(small.stats()).toMatchObject({ entries: 0, bytes: 0 });
    for (let n = 0; n < 50; n += 1) await small.query("select repeat('x', 500) as text, $1::int as n", [n]);
    expect(small.stats().bytes).toBeLessThanOrEqual(8_000);
    expect(small.stats().evictions).toBeGreaterThan(0);
  });

  test("names every option that cannot be", async () => {
    await using made = await rig();
    expect(() => createQueryCache(made.pool, { ttlMs: -1, maxBytes: Number.NaN, offlineMs: -2 })).toThrow(
      expect.objectContaining({
        code: "POOL_INVALID_CACHE_OPTIONS",
        problems: [
          "ttlMs is -1, not a number from 0",
          "offlineMs is -2, not a number from 0",
          "maxBytes is NaN, not a number from 0",
          "offlineMs (-2) is below ttlMs (-1)",
        ],
      }),
    );
  });
});

describe("while the database is away, a query cache", () => {
  test("gives the last good answer with its age, or says that there is none", async () => {
    const { url } = await cluster.createDatabase();
    const proxy: FaultProxy = await startFaultProxy({ target: url });
    await using pool = createPool({ primaryUrl: proxy.url(url), probeIntervalMs: 50, retry: false });
    await pool.start();
    const clock = handClock();
    const cache = createQueryCache(pool, { ttlMs: 1_000, offlineMs: 60_000, clock });
    const strict = createQueryCache(pool, { ttlMs: 1_000, clock });
    for (const each of [cache, strict]) await each.query("select 1 as n");
    clock.at += 5_000;
    await proxy.stop();
    await expect.poll(() => pool.health().status).toBe("fail");
    expect(await cache.query("select 1 as n")).toEqual({ rows: [{ n: 1 }], source: "offline", ageMs: 5_000 });
    expect(cache.stats().offlineAnswers).toBe(1);
    await expect(cache.query("select 2 as n")).rejects.toMatchObject({
      code: "POOL_OFFLINE",
      lastAnswerAgeMs: undefined,
      cause: { code: "POOL_CIRCUIT_OPEN" },
    });
    clock.at += 60_000;
    await expect(cache.query("select 1 as n")).rejects.toMatchObject({ code: "POOL_OFFLINE", lastAnswerAgeMs: 65_000 });
    await expect(strict.query("select 1 as n")).rejects.toMatchObject({ code: "POOL_CIRCUIT_OPEN" });
  });

  test("passes on what is wrong with the question itself", async () => {
    await using made = await rig();
    const cache = createQueryCache(made.pool, { offlineMs: 60_000 });
    await expect(cache.query("select nothing")).rejects.toMatchObject({ code: "42703" });
  });
});
