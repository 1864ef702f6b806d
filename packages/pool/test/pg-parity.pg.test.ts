import { Pool } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client, Pool as PgPool } from "pg";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(() => cluster.stop());

/** What both are made with: pg's names alone. */
const pools = [
  ["pg.Pool", PgPool],
  ["Pool", Pool as unknown as typeof PgPool],
] as const;

const config = (): pg.PoolConfig => ({ connectionString: cluster.primary.url, max: 2 });

test("every name of pg.Pool is there, with the same kind of value", async () => {
  const [theirs, ours] = [new PgPool(config()), new Pool(config())];
  const kinds =
    (pool: object) =>
    (name: string): string =>
      `${name}: ${name in pool ? typeof (pool as Record<string, unknown>)[name] : "missing"}`;
  const names = [
    ...Object.getOwnPropertyNames(theirs).filter((name) => !/^_(events|maxListeners|pendingQueue|expired)/.test(name)),
    // What pg exports is bound to its client; the names are those of the class under it.
    ...Object.getOwnPropertyNames(Object.getPrototypeOf(PgPool.prototype)).filter((name) => !name.startsWith("_")),
    "on",
    "once",
    "off",
  ];
  expect(names).toContain("totalCount");
  expect(names.map(kinds(ours))).toEqual(names.map(kinds(theirs)));
  await Promise.all([theirs.end(), ours.end()]);
});

describe.each(pools)("%s", (_name, Class) => {
  test("answers queries by promise and by callback, in every form of its arguments", async () => {
    const pool = new Class(config());
    const back = <T>(ask: (done: (error: Error | undefined, result: T) => void) => unknown): Promise<T> =>
      new Promise((resolve, reject) => ask((error, result) => (error ? reject(error) : resolve(result))));
    const rows = [
      (await pool.query("select 1 as n")).rows,
      (await pool.query("select $1::int as n", [1])).rows,
      (await pool.query({ text: "select $1::int as n", values: [1] })).rows,
      (await pool.query({ text: "select $1::int as n" }, [1])).rows,
      (await pool.query({ name: "one", text: "select $1::int as n", values: [1] })).rows,
      (await back<pg.QueryResult>((done) => pool.query("select 1 as n", done as never))).rows,
      (await back<pg.QueryResult>((done) => pool.query("select $1::int as n", [1], done as never))).rows,
      (await back<pg.QueryResult>((done) => pool.query({ text: "select 1 as n" }, done as never))).rows,
    ];
    expect(rows).toEqual(rows.map(() => [{ n: 1 }]));
    expect((await pool.query({ text: "select 1, 2", rowMode: "array" })).rows).toEqual([[1, 2]]);
    const several = (await pool.query("select 1 as n; select 2 as n")) as unknown as pg.QueryResult[];
    expect(several.map((each) => each.rows)).toEqual([[{ n: 1 }], [{ n: 2 }]]);
    const { command, rowCount, fields, oid } = await pool.query("select 1 as n");
    expect([command, rowCount, fields.map(({ name }) => name), oid]).toEqual(["SELECT", 1, ["n"], null]);
    await expect(back((done) => pool.query("select 1/0", done as never))).rejects.toMatchObject({ code: "22012" });
    await pool.end();
  });

  test("lends by promise and by callback, and ends by either", async () => {
    const pool = new Class(config());
    const client = await pool.connect();
    expect(client).toBeInstanceOf(Client);
    expect(typeof (client as unknown as { processID: number }).processID).toBe("number");
    client.release();
    const lent = await new Promise<pg.PoolClient>((resolve, reject) =>
      pool.connect((error, given, done) => {
        if (error) return reject(error);
        done();
        resolve(given!);
      }),
    );
    expect(lent).toBe(client);
    await new Promise<void>((resolve) => pool.end(() => resolve()));
    expect([pool.ending, pool.ended, pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([
      true,
      true,
      0,
      0,
      0,
    ]);
    await expect(pool.query("select 1")).rejects.toThrow(/after calling end on the pool/i);
    await expect(pool.end()).rejects.toThrow(/end on pool more than once/i);
  });

  test("counts and tells the same, in the same order", async () => {
    const pool = new Class(config());
    const told: string[] = [];
    pool.on("connect", () => told.push("connect"));
    pool.on("acquire", () => told.push("acquire"));
    pool.on("release", () => told.push("release"));
    pool.on("remove", () => told.push("remove"));
    const counts = (): number[] => [pool.totalCount, pool.idleCount, pool.waitingCount];
    const [first, second] = [await pool.connect(), await pool.connect()];
    const waiting = pool.connect();
    const seen = [counts()];
    first.release();
    (await waiting).release(true);
    second.release();
    seen.push(counts());
    await pool.end();
    expect(seen).toEqual([
      [2, 0, 1],
      [1, 1, 0],
    ]);
    // pg.Pool tells of a removal when the socket has closed, whenever that is.
    await expect.poll(() => told.filter((event) => event === "remove")).toHaveLength(2);
    expect(told.filter((event) => event !== "remove")).toEqual(
      "connect acquire connect acquire release acquire release release".split(" "),
    );
  });

  test("runs its hooks, and takes a client class", async () => {
    const ran: string[] = [];
    class Own extends Client {}
    const pool = new Class({
      ...config(),
      Client: Own,
      onConnect: async (client: pg.ClientBase) => {
        await client.query("set application_name = 'hooked'");
        ran.push("onConnect");
      },
      verify: (_client: pg.ClientBase, done: (error?: Error) => void) => (ran.push("verify"), done()),
      log: () => undefined,
      // pg awaits it, whatever its types say.
    } as unknown as pg.PoolConfig);
    const client = await pool.connect();
    expect(client).toBeInstanceOf(Own);
    expect((await client.query("show application_name")).rows).toEqual([{ application_name: "hooked" }]);
    client.release();
    await pool.end();
    expect(ran.sort()).toEqual(["onConnect", "verify"]);
  });
});
