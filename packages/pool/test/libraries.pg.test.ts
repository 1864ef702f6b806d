import { createPool, Pool } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import { PrismaPg } from "@prisma/adapter-pg";
import { makeWorkerUtils, runOnce } from "graphile-worker";
import pg from "pg";
import { PgBoss } from "pg-boss";
import { DataSource, EntitySchema } from "typeorm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(() => cluster.stop());

describe("Prisma's driver adapter", () => {
  test("queries, commits and rolls back on the pool, and leaves it open", async () => {
    const { url } = await cluster.createDatabase();
    await using pool = createPool({ primaryUrl: url, max: 2 });
    const adapter = await new PrismaPg(pool).connect();
    expect(adapter.underlyingDriver()).toBe(pool);
    await adapter.executeScript(
      "create table bill (id int primary key, title text); insert into bill values (1, 'water')",
    );
    const read = { sql: "select id, title from bill where id = $1", args: [1], argTypes: [] };
    expect((await adapter.queryRaw(read)).rows).toEqual([[1, "water"]]);
    const insert = (id: number) => ({ sql: "insert into bill values ($1, 'roads')", args: [id], argTypes: [] });
    const kept = await adapter.startTransaction("SERIALIZABLE" as never);
    expect(await kept.executeRaw(insert(2))).toBe(1);
    // Prisma's engine sends these itself; the adapter's own calls only give the connection back.
    const say = (sql: string) => ({ sql, args: [], argTypes: [] });
    await kept.executeRaw(say("commit"));
    await kept.commit();
    const undone = await adapter.startTransaction();
    await undone.executeRaw(insert(3));
    await undone.executeRaw(say("rollback"));
    await undone.rollback();
    await expect(adapter.executeRaw(insert(1))).rejects.toMatchObject({ cause: { kind: "UniqueConstraintViolation" } });
    const all = await adapter.queryRaw(say("select id from bill order by id"));
    expect(all.rows).toEqual([[1], [2]]);
    await adapter.dispose();
    expect([pool.ended, pool.stats().checkedOut, pool.stats().leftOpen]).toEqual([false, 0, 0]);
  });
});

describe("TypeORM", () => {
  const Bill = new EntitySchema<{ id: number; title: string }>({
    name: "bill",
    columns: { id: { type: Number, primary: true }, title: { type: String } },
  });

  test("creates its schema, queries, commits and rolls back on the pool", async () => {
    const { url } = await cluster.createDatabase();
    const made: Pool[] = [];
    class Ours extends Pool {
      constructor(config: pg.PoolConfig) {
        super(config as never);
        made.push(this);
      }
    }
    const source = new DataSource({
      type: "postgres",
      url,
      entities: [Bill],
      synchronize: true,
      poolSize: 2,
      driver: { ...pg, Pool: Ours },
    });
    await source.initialize();
    const bills = source.getRepository(Bill);
    await bills.save([
      { id: 1, title: "water" },
      { id: 2, title: "roads" },
    ]);
    await expect(
      source.transaction(async (manager) => {
        await manager.getRepository(Bill).delete({ id: 1 });
        throw new Error("not this one");
      }),
    ).rejects.toThrow("not this one");
    expect(await bills.find({ order: { id: "ASC" } })).toEqual([
      { id: 1, title: "water" },
      { id: 2, title: "roads" },
    ]);
    expect(made.map(({ options }) => options.max)).toEqual([2]);
    await source.destroy();
    expect(made.map(({ ended }) => ended)).toEqual([true]);
  });
});

describe("pg-boss", () => {
  test("keeps its queues in the pool's database", async () => {
    const { url } = await cluster.createDatabase();
    await using pool = createPool({ primaryUrl: url });
    const db = { executeSql: (text: string, values?: unknown[]) => pool.query(text, values) };
    const boss = new PgBoss({ db, supervise: false, schedule: false });
    await boss.start();
    await boss.createQueue("bills");
    await boss.send("bills", { id: 7 });
    const worked = new Promise<unknown>((resolve) => {
      void boss.work<{ id: number }>("bills", { pollingIntervalSeconds: 0.5 }, async ([job]) => resolve(job?.data));
    });
    expect(await worked).toEqual({ id: 7 });
    await boss.stop({ graceful: true, close: false });
    expect(pool.stats().checkedOut).toBe(0);
  });
});

describe("graphile-worker", () => {
  test("runs its jobs on the pool", async () => {
    const { url } = await cluster.createDatabase();
    await using pool = createPool({ primaryUrl: url });
    const utils = await makeWorkerUtils({ pgPool: pool });
    await utils.migrate();
    await utils.addJob("greet", { name: "Ada" });
    const greeted: unknown[] = [];
    await runOnce({
      pgPool: pool,
      taskList: {
        greet: async (payload, helpers) => void greeted.push(payload, (await helpers.query("select 1 as one")).rows),
      },
    });
    await utils.release();
    expect(greeted).toEqual([{ name: "Ada" }, [{ one: 1 }]]);
    expect(pool.stats().checkedOut).toBe(0);
  });
});
