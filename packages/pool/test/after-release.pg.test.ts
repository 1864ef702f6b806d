import { createPool, Pool, type PoolOptions, type SessionHandle, type Transaction } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import { createRequire } from "node:module";
import { Client, type PoolClient, type Submittable } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

// It brings no types.
const Cursor = createRequire(import.meta.url)("pg-cursor") as new (text: string) => Submittable & {
  read(rows: number): Promise<unknown[]>;
  close(): Promise<void>;
};

let cluster: TestCluster;
let url: string;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
  ({ url } = await cluster.createDatabase());
});
afterAll(() => cluster.stop());

function open(options: Partial<PoolOptions> = {}): Pool {
  return createPool({ primaryUrl: url, max: 1, probeIntervalMs: false, ...options });
}

const ended = { code: "POOL_SESSION_ENDED" };
const twice = { code: "POOL_DOUBLE_RELEASE" };

async function rejection(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => {
      throw new Error("expected a rejection");
    },
    (error: unknown) => error,
  );
}

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error("expected it to throw");
}

describe("a client that was given back", () => {
  test("runs nothing in the session of whoever has its connection now, and cannot give that back", async () => {
    await using pool = open();
    const first = await pool.connect();
    first.release();
    const second = await pool.connect();
    await second.query("begin");
    expect(await rejection(first.query("commit"))).toMatchObject(ended);
    const byCallback = new Promise((resolve) => first.query("commit", (error) => resolve(error)));
    expect(await byCallback).toMatchObject(ended);
    expect(thrownBy(() => first.query(new Cursor("select 1")))).toMatchObject(ended);
    expect(await rejection((first as unknown as Client).end())).toMatchObject(ended);
    expect(thrownBy(() => first.release())).toMatchObject(twice);
    expect(thrownBy(() => first[Symbol.dispose]())).toMatchObject(twice);
    expect(pool.stats()).toMatchObject({ checkedOut: 1, idle: 0 });
    // Still in the transaction that nobody else ended.
    const { rows } = await second.query(
      "select pg_current_xact_id_if_assigned() is null as none, now() < clock_timestamp() as open",
    );
    expect(rows).toEqual([{ none: true, open: true }]);
    await second.query("rollback");
    second.release();
    expect(pool.stats()).toMatchObject({ checkedOut: 0, idle: 1 });
  });

  test("with an error is gone, and says so all the same", async () => {
    await using pool = open();
    const client = await pool.connect();
    client.release(true);
    expect(await rejection(client.query("select 1"))).toMatchObject(ended);
    expect(thrownBy(() => client.release())).toMatchObject(twice);
  });

  test("finishes what it was asked for before", async () => {
    await using pool = open();
    const client = await pool.connect();
    const asked = client.query("select 1 as one");
    client.release();
    expect((await asked).rows).toEqual([{ one: 1 }]);
  });
});

describe("a client", () => {
  test("is pg's, with everything that is on it", async () => {
    await using pool = open();
    const client = await pool.connect();
    expect(client).toBeInstanceOf(Client);
    expect("release" in client).toBe(true);
    const heard = new Promise((resolve) => client.on("notification", ({ payload }) => resolve(payload)));
    expect(client.on("notice", () => undefined)).toBe(client);
    await client.query("listen news");
    await client.query("notify news, 'hello'");
    expect(await heard).toBe("hello");
    const cursor = client.query(new Cursor("select n from generate_series(1, 5) n"));
    expect(await cursor.read(2)).toEqual([{ n: 1 }, { n: 2 }]);
    await cursor.close();
    client.release(true);
  });

  test("may have its query and release wrapped by its borrower, and the next one finds them whole", async () => {
    await using pool = open();
    const client: PoolClient = await pool.connect();
    /* oxlint-disable-next-line typescript/unbound-method -- as pg's own documentation does to find leaks */
    const { query, release } = client;
    const texts: unknown[] = [];
    client.query = ((...args: Parameters<typeof query>) => {
      texts.push(args[0]);
      return query.apply(client, args);
    }) as typeof query;
    client.release = () => {
      texts.push("released");
      release.apply(client);
    };
    await client.query("select 1");
    client.release();
    const next = await pool.connect();
    await next.query("select 2");
    next.release();
    expect(texts).toEqual(["select 1", "released"]);
  });
});

describe("after its end", () => {
  const kinds: readonly (readonly [string, (pool: Pool) => Promise<SessionHandle | Transaction>])[] = [
    ["a session", (pool) => pool.withSession(async (session) => session)],
    ["a transaction", (pool) => pool.withTransaction(async (tx) => tx)],
    [
      "a transaction that rolled back",
      async (pool) => {
        let kept: Transaction | undefined;
        const failing = pool.withTransaction(async (tx) => {
          kept = tx;
          throw new Error("no");
        });
        await rejection(failing);
        return kept!;
      },
    ],
    [
      "a savepoint of a transaction that ended",
      (pool) => pool.withTransaction((tx) => tx.savepoint(async (inner) => inner)),
    ],
  ];
  test.each(kinds)("%s refuses statements", async (_, take) => {
    await using pool = open();
    const kept = await take(pool);
    expect(await rejection(kept.query("select 1"))).toMatchObject(ended);
    expect(pool.stats()).toMatchObject({ checkedOut: 0 });
  });
});

test("a pool made with pg's names lends pg's own objects, and tells of a second release", async () => {
  await using pool = new Pool({ connectionString: url, max: 1 });
  const lent: unknown[] = [];
  pool.on("acquire", (client) => lent.push(client));
  const client = await pool.connect();
  expect(lent).toEqual([client]);
  client.release();
  expect(thrownBy(() => client.release())).toMatchObject(twice);
});
