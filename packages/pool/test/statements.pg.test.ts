import { createPool, Pool, type PoolOptions } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(() => cluster.stop());

async function freshPool(options: Partial<PoolOptions> = {}): Promise<Pool> {
  const { url } = await cluster.createDatabase();
  return createPool({ primaryUrl: url, ...options });
}
async function rejection(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => {
      throw new Error("expected a rejection");
    },
    (error: unknown) => error,
  );
}

describe("a statement that would change its session", () => {
  test("is refused by pool.query, and nothing of it reaches a connection", async () => {
    await using pool = await freshPool({ max: 2 });
    const refused = [
      "set work_mem = '7MB'",
      "select set_config('work_mem', '7MB', false)",
      "select pg_advisory_lock(1)",
      "listen news",
      "create temp table t ()",
      "begin",
    ];
    for (let round = 0; round < 3; round += 1) {
      for (const text of refused) {
        expect(await rejection(pool.query(text))).toMatchObject({ code: "POOL_SESSION_STATE", retryable: false });
      }
    }
    expect(pool.stats()).toMatchObject({ total: 0, retries: 0 });
    expect(((await rejection(pool.query("begin"))) as Error).message).toBe(
      "BEGIN changes its session, and pool.query has none of its own",
    );
  });

  test("runs in a session, in a transaction, and where it ends with the statement", async () => {
    await using pool = await freshPool({ max: 1 });
    await pool.withSession((session) => session.query("set work_mem = '7MB'"));
    await pool.withTransaction((tx) => tx.query("set local work_mem = '7MB'"));
    await pool.query("select set_config('work_mem', '7MB', true), pg_advisory_xact_lock(1)");
    await pool.query("begin; set local work_mem = '7MB'; commit");
    expect((await pool.query("show work_mem")).rows).toEqual([{ work_mem: "4MB" }]);
  });

  test("runs on a connection of its own for a pool made with pg's names, or that keeps it", async () => {
    const { url } = await cluster.createDatabase();
    await using like = new Pool({ connectionString: url, max: 1 });
    await using keeping = createPool({ primaryUrl: url, max: 1, sessionState: "keep" });
    for (const pool of [like, keeping]) {
      await pool.query("set work_mem = '7MB'");
      expect((await pool.query("show work_mem")).rows).toEqual([{ work_mem: "7MB" }]);
    }
  });
});

describe("settings", () => {
  test("hold for one statement, on the primary and under row-level security", async () => {
    await using pool = await freshPool({ max: 1 });
    await pool.query("create table bill (id int, tenant text)");
    await pool.query("insert into bill values (1, 'a'), (2, 'b')");
    await pool.query("alter table bill enable row level security");
    await pool.query("create policy own on bill using (tenant = current_setting('app.tenant', true))");
    await pool.query("create role tenant");
    await pool.query("grant select on bill to tenant");
    const as = async (tenant: string): Promise<unknown> =>
      (await pool.query("select id from bill", [], { settings: { role: "tenant", "app.tenant": tenant } })).rows;
    expect([await as("a"), await as("b"), await as("'; drop table bill; --")]).toEqual([[{ id: 1 }], [{ id: 2 }], []]);
    expect((await pool.query("select id from bill order by id")).rows).toEqual([{ id: 1 }, { id: 2 }]);
    await pool.query("drop owned by tenant");
    await pool.query("drop role tenant");
  });

  test("are refused before anything is sent when they cannot be settings", async () => {
    await using pool = await freshPool();
    const withSettings = (settings: Record<string, string>): Promise<unknown> =>
      rejection(pool.query("select 1", [], { settings }));
    expect(await withSettings({ "app.tenant; drop table t": "1" })).toMatchObject({
      code: "POOL_INVALID_SETTING",
      message: expect.stringContaining("is not named as a setting can be"),
    });
    expect(await withSettings({ "app.tenant": 42 as never })).toMatchObject({
      message: expect.stringContaining("is number, not text"),
    });
    expect(await withSettings({ "app.tenant": "a\0b" })).toMatchObject({ code: "POOL_INVALID_SETTING" });
    expect(await rejection(pool.withTransaction(async () => 1, { settings: { "": "x" } }))).toMatchObject({
      code: "POOL_INVALID_SETTING",
    });
    expect(pool.totalCount).toBe(0);
  });
});

describe("a copy past its bound, or given up", () => {
  /** A source that says one line and then nothing. */
  async function* stuck(): AsyncGenerator<string> {
    yield "1\n";
    await new Promise(() => undefined);
  }
  const running = (text: string) => async (): Promise<number> => {
    const observer = await cluster.connect();
    const sql = "select count(*)::int as n from pg_stat_activity where query = $1 and state = 'active'";
    const { rows } = await observer.query<{ n: number }>(sql, [text]);
    await observer.end();
    return rows[0]!.n;
  };

  test("in loads nothing, whether the source or the server is slow", async () => {
    await using pool = await freshPool({ max: 2, cancelTimeoutMs: 500 });
    await pool.query("create table t (id int)");
    const copy = "copy t from stdin /* in */";
    expect(await rejection(pool.copyFrom(copy, stuck(), { timeoutMs: 100 }))).toMatchObject({
      code: "POOL_QUERY_TIMEOUT",
    });
    await expect.poll(running(copy)).toBe(0);
    const controller = new AbortController();
    const locked = pool.withTransaction(async (tx) => {
      await tx.query("lock table t");
      const blocked = rejection(pool.copyFrom(copy, ["1\n"], { signal: controller.signal }));
      await expect.poll(running(copy)).toBe(1);
      controller.abort();
      expect(await blocked).toMatchObject({ code: "CORE_ABORTED" });
      await expect.poll(running(copy)).toBe(0);
    });
    await locked;
    expect((await pool.query("select count(*)::int as n from t")).rows).toEqual([{ n: 0 }]);
  });

  test("out stops on the server", async () => {
    await using pool = await freshPool({ max: 2 });
    const copy = "copy (select pg_sleep(30)) to stdout";
    const read = async (options: { signal?: AbortSignal; timeoutMs?: number }): Promise<void> => {
      for await (const _ of pool.copyTo(copy, options)) break;
    };
    expect(await rejection(read({ timeoutMs: 100 }))).toMatchObject({ code: "POOL_QUERY_TIMEOUT" });
    expect(await rejection(read({ signal: AbortSignal.timeout(100) }))).toMatchObject({ code: "CORE_ABORTED" });
    await expect.poll(running(copy)).toBe(0);
    expect((await pool.query("select 1 as n")).rows).toEqual([{ n: 1 }]);
  });
});

describe("a subscription", () => {
  test("ends when its signal fires, and never begins when it has fired", async () => {
    await using pool = await freshPool();
    const controller = new AbortController();
    const heard: string[] = [];
    await pool.listen("news", ({ payload }) => heard.push(payload), { signal: controller.signal });
    await pool.query("select pg_notify('news', 'one')");
    await expect.poll(() => heard).toEqual(["one"]);
    controller.abort();
    const listening = "select count(*)::int as n from pg_stat_activity where query = 'listen \"news\"'";
    await expect.poll(async () => (await pool.query<{ n: number }>(listening)).rows[0]!.n).toBe(0);
    const again = pool.listen("news", () => undefined, { signal: controller.signal });
    expect(await rejection(again)).toMatchObject({ code: "CORE_ABORTED" });
  });
});
