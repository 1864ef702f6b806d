import { createPool } from "@db/pool";
import { kyselyDialect } from "@db/pool/kysely";
import { startCluster, type TestCluster } from "@db/testkit";
import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { integer, pgTable, text } from "drizzle-orm/pg-core";
import { Kysely, sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(() => cluster.stop());

describe("Drizzle", () => {
  const bill = pgTable("bill", { id: integer("id").primaryKey(), title: text("title").notNull() });

  test("queries, commits and rolls back on the pool", async () => {
    const { url } = await cluster.createDatabase();
    await using pool = createPool({ primaryUrl: url, max: 2 });
    await pool.query("create table bill (id int primary key, title text not null)");
    const db = drizzle({ client: pool });
    await db.insert(bill).values({ id: 1, title: "water" });
    await db.transaction(async (tx) => {
      await tx.update(bill).set({ title: "rivers" }).where(eq(bill.id, 1));
      await tx.transaction(async (inner) => inner.insert(bill).values({ id: 2, title: "roads" }));
    });
    await expect(
      db.transaction(async (tx) => {
        await tx.delete(bill);
        throw new Error("not this one");
      }),
    ).rejects.toThrow("not this one");
    expect(await db.select().from(bill).orderBy(bill.id)).toEqual([
      { id: 1, title: "rivers" },
      { id: 2, title: "roads" },
    ]);
    expect(pool.stats().checkedOut).toBe(0);
  });
});

describe("Kysely", () => {
  interface Schema {
    bill: { id: number; title: string };
  }

  test("queries, streams, commits and rolls back on the pool", async () => {
    const { url } = await cluster.createDatabase();
    const pool = createPool({ primaryUrl: url, max: 2 });
    const db = new Kysely<Schema>({ dialect: kyselyDialect(pool) });
    await db.schema.createTable("bill").addColumn("id", "integer").addColumn("title", "text").execute();
    const rows = Array.from({ length: 250 }, (_, id) => ({ id, title: `bill ${id}` }));
    await db.transaction().execute((tx) => tx.insertInto("bill").values(rows).execute());
    await expect(
      db.transaction().execute(async (tx) => {
        await tx.deleteFrom("bill").execute();
        throw new Error("not this one");
      }),
    ).rejects.toThrow("not this one");
    const ids: number[] = [];
    for await (const { id } of db.selectFrom("bill").select("id").orderBy("id").stream(100)) ids.push(id);
    expect(ids).toEqual(rows.map(({ id }) => id));
    await db.destroy();
    expect(pool.ended).toBe(true);
  });

  test("cancels on the server that runs the statement", async () => {
    const { url } = await cluster.createDatabase();
    const pool = createPool({ primaryUrl: url, max: 1 });
    const db = new Kysely<Schema>({ dialect: kyselyDialect(pool) });
    const signal = AbortSignal.timeout(60);
    const started = performance.now();
    const options = { abortSignal: signal, signal, inflightQueryAbortStrategy: "cancel query" } as never;
    await expect(sql`select pg_sleep(30)`.execute(db, options)).rejects.toBeInstanceOf(Error);
    // The connection is free again, which it is only once the server has stopped.
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    expect(performance.now() - started).toBeLessThan(5_000);
    await db.destroy();
  });

  test("cancels on the standby, when that is the one of two servers that runs the statement", async () => {
    await using own = await startCluster({ version: 18, replicas: 1 });
    const pool = createPool({
      primaryUrl: own.primary.url,
      replicaUrls: [own.replicas[0].url],
      targetSessionAttrs: "standby",
      max: 1,
    });
    await pool.start();
    const db = new Kysely<Schema>({ dialect: kyselyDialect(pool) });
    const standby = await own.replicas[0].connect();
    const sleepers = async () =>
      (await standby.query("select from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'"))
        .rowCount;
    const controller = new AbortController();
    const { signal } = controller;
    const options = { abortSignal: signal, signal, inflightQueryAbortStrategy: "cancel query" } as never;
    const sleeping = expect(sql`select pg_sleep(600)`.execute(db, options)).rejects.toBeInstanceOf(Error);
    await expect.poll(sleepers, { timeout: 20_000 }).toBe(1);
    controller.abort();
    await sleeping;
    await expect.poll(sleepers, { timeout: 20_000 }).toBe(0);
    // The connection is whole: it was the statement that ended.
    expect((await pool.query("select pg_is_in_recovery() as standby")).rows).toEqual([{ standby: true }]);
    expect(pool.stats().servers.map(({ connectionsClosed }) => connectionsClosed)).toEqual([0, 0]);
    await standby.end();
    await db.destroy();
  });

  test("ends a session on the server that runs it, which the pool tells of", async () => {
    const { url } = await cluster.createDatabase();
    const pool = createPool({ primaryUrl: url, max: 1 });
    const errors: string[] = [];
    pool.on("error", ({ message }: Error) => errors.push(message));
    const db = new Kysely<Schema>({ dialect: kyselyDialect(pool) });
    const observer = await cluster.connect();
    const sleepers = "select from pg_stat_activity where query like 'select pg_sleep%' and datname = $1";
    const database = new URL(url).pathname.slice(1);
    const countSleepers = async () => (await observer.query(sleepers, [database])).rowCount;
    const controller = new AbortController();
    const { signal } = controller;
    const options = { abortSignal: signal, signal, inflightQueryAbortStrategy: "kill session" } as never;
    const sleeping = expect(sql`select pg_sleep(30)`.execute(db, options)).rejects.toBeInstanceOf(Error);
    await expect.poll(countSleepers, { timeout: 10_000 }).toBe(1);
    controller.abort();
    await sleeping;
    await expect.poll(countSleepers, { timeout: 10_000 }).toBe(0);
    await observer.end();
    await expect.poll(() => errors, { timeout: 10_000 }).toEqual(["Connection terminated unexpectedly"]);
    await db.destroy();
  });
});
