import { createPool, type Pool, type PoolOptions } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import { CompiledQuery, Kysely, PostgresDialect, sql } from "kysely";
import type { PoolClient } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let cluster: TestCluster;
let url: string;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
  ({ url } = await cluster.createDatabase());
});
afterAll(() => cluster.stop());

const ended = { code: "POOL_SESSION_ENDED" };
const twice = { code: "POOL_DOUBLE_RELEASE" };

function open(options: Partial<PoolOptions> = {}): Pool {
  return createPool({
    primaryUrl: url,
    max: 1,
    probeIntervalMs: false,
    clientHandles: "per-connection",
    ...options,
  });
}

const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
  await work.then(
    () => "none",
    (error: { code?: string }) => error.code,
  );

describe("one handle for each connection", () => {
  test("lets Kysely's own dialect greet each connection once, however often it is lent", async () => {
    const pool = open({ max: 3 });
    const greeted: number[] = [];
    const pids = new Set<number>();
    const db = new Kysely<Record<string, never>>({
      dialect: new PostgresDialect({
        pool,
        onCreateConnection: async (connection) => {
          const asked = CompiledQuery.raw("select pg_backend_pid() as pid, set_config('app.greeted', 'yes', false)");
          const { rows } = await connection.executeQuery<{ pid: number }>(asked);
          greeted.push(rows[0]!.pid);
        },
      }),
    });
    const seen = sql<{ pid: number; greeted: string }>`
      select pg_backend_pid() as pid, current_setting('app.greeted') as greeted from pg_sleep(0.01)`;
    for (let round = 0; round < 10; round += 1) {
      const answers = await Promise.all([1, 2, 3].map(() => seen.execute(db)));
      for (const { rows } of answers) {
        expect(rows[0]!.greeted).toBe("yes");
        pids.add(rows[0]!.pid);
      }
    }
    expect(new Set(greeted)).toEqual(pids);
    expect(greeted).toHaveLength(pool.totalCount);
    expect(pool.stats().servers[0]).toMatchObject({ connectionsClosed: 0 });
    // A connection that takes the place of one that went is a new one.
    pool.retireConnections();
    await seen.execute(db);
    expect(greeted).toHaveLength(pids.size + 1);
    await db.destroy();
  });

  test("is what every event shows, and what the callback gets", async () => {
    const pool = open();
    const shown: [string, unknown][] = [];
    for (const event of ["connect", "acquire", "remove"] as const) {
      pool.on(event, (client: PoolClient) => shown.push([event, client]));
    }
    pool.on("release", (_, client) => shown.push(["release", client]));
    const client = await pool.connect();
    client.release();
    const byCallback = await new Promise<unknown>((resolve, reject) =>
      pool.connect((error, given, done) => {
        done();
        if (error) reject(error);
        else resolve(given);
      }),
    );
    await pool.query("select 1");
    await pool.end();
    expect(byCallback).toBe(client);
    expect(shown.map(([event]) => event).join(" ")).toBe(
      "connect acquire release acquire release acquire release remove",
    );
    expect(new Set(shown.map(([, each]) => each))).toEqual(new Set([client]));
  });

  test("works for who listens to the pool, whatever has become of its borrower", async () => {
    await using pool = open();
    const asked: Promise<unknown>[] = [];
    pool.on("connect", (client: PoolClient) => {
      /* oxlint-disable-next-line typescript/unbound-method -- wrapped for good, as tracing libraries do */
      const { query } = client;
      const texts: unknown[] = [];
      client.query = ((...args: Parameters<typeof query>) => {
        texts.push(args[0]);
        return query.apply(client, args);
      }) as typeof query;
      Object.assign(client, { texts });
    });
    pool.on("acquire", (client: PoolClient) => asked.push(client.query("select 'acquired'")));
    pool.on("release", (_, client) => asked.push(client.query("select 'released'")));
    for (const text of ["select 1", "select 2"]) {
      const client = await pool.connect();
      await client.query(text);
      client.release();
    }
    const client = await pool.connect();
    await Promise.all(asked);
    const round = (text: string): string[] => ["select 'acquired'", text, "select 'released'"];
    expect((client as unknown as { texts: unknown[] }).texts).toEqual([
      ...round("select 1"),
      ...round("select 2"),
      "select 'acquired'",
    ]);
    client.release();
  });

  test.each<[string, (pool: Pool, stale: () => Promise<unknown>) => Promise<unknown>]>([
    ["nobody", (_, stale) => stale()],
    ["a session", (pool, stale) => pool.withSession(stale)],
    ["a transaction", (pool, stale) => pool.withTransaction(stale)],
  ])("refuses what comes after its release while %s has the connection", async (_, during) => {
    await using pool = open();
    const client = await pool.connect();
    await client.query("select 1");
    client.release();
    const stale = async (): Promise<unknown> => {
      expect(() => client.release()).toThrow(expect.objectContaining(twice));
      expect(() => client[Symbol.dispose]()).toThrow(expect.objectContaining(twice));
      return await codeOf(client.query("commit"));
    };
    expect(await during(pool, stale)).toBe(ended.code);
    expect(pool.stats()).toMatchObject({ checkedOut: 0, leftOpen: 0 });
  });

  test("refuses what was taken from it in an earlier checkout", async () => {
    await using pool = open();
    const first = await pool.connect();
    /* oxlint-disable-next-line typescript/unbound-method -- that is the point */
    const { query, release, [Symbol.dispose]: dispose } = first;
    first.release();
    const second = await pool.connect();
    expect(await codeOf((query as (text: string) => Promise<unknown>).call(second, "select 1"))).toBe(ended.code);
    expect(() => release()).toThrow(expect.objectContaining(twice));
    expect(() => dispose()).toThrow(expect.objectContaining(twice));
    expect(pool.stats()).toMatchObject({ checkedOut: 1 });
    expect((await second.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    second.release();
  });
});

test("what a pool lends can be chosen apart from what it refuses", async () => {
  await using own = open({ sessionState: "keep", clientHandles: "per-checkout" });
  const first = await own.connect();
  first.release();
  const second = await own.connect();
  expect(await codeOf(first.query("select 1"))).toBe(ended.code);
  second.release();
  await using plain = open({ clientHandles: false });
  const raw: unknown[] = [];
  plain.on("acquire", (client) => raw.push(client));
  const client = await plain.connect();
  expect(raw).toEqual([client]);
  client.release();
  expect(await codeOf(plain.query("set search_path = ''"))).toBe("POOL_SESSION_STATE");
});
