import { explainStatement, inspect, inspections, type InspectReport } from "@db/monitor";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client, Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

let cluster: TestCluster<1>;
let client: Client;
let pool: Pool;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1, settings: { shared_preload_libraries: "pg_stat_statements" } });
  client = await cluster.connect();
  await client.query("create extension pg_stat_statements");
  await client.query(`
    create table parts (id int generated always as identity primary key, name text, kind int);
    create index parts_kind on parts (kind); create index parts_kind_again on parts (kind);
    insert into parts (name, kind) select repeat('part ', 20) || i, i % 7 from generate_series(1, 20000) i;
    delete from parts where id % 2 = 0; analyze parts`);
  await client.query("select pg_stat_force_next_flush()");
  pool = cluster.createPool({ max: 4 });
});
afterAll(async () => {
  await client?.end();
  await pool?.end();
  await cluster?.stop();
});

const rowsOf = async (name: string): Promise<InspectReport["rows"]> => (await inspect(pool, name)).rows;

describe("inspect", () => {
  test.each(inspections.map(({ name }) => name))("%s answers with its own columns", async (name) => {
    const report = await inspect(pool, name, { limit: 5 });
    expect(report.rows.length > 0 || report.note !== null).toBe(true);
    for (const row of report.rows) expect(Object.keys(row)).toEqual(report.columns.map((column) => column.name));
  });

  test("counts what is there", async () => {
    // Counters reach the server's statistics when their session has been idle for a second.
    const settled = { timeout: 20_000, interval: 50 };
    await vi.waitFor(async () => {
      expect((await rowsOf("tables"))[0]).toMatchObject({ table: "public.parts", inserted: 20_000, deleted: 10_000 });
    }, settled);
    const [vacuum] = await rowsOf("vacuum");
    expect(vacuum).toMatchObject({ table: "public.parts", deadRows: 10_000, autovacuum: true });
    expect(Number(vacuum!["triggerRatio"])).toBeGreaterThan(1);
    const [sequence] = await rowsOf("sequences");
    expect(sequence).toMatchObject({ column: "parts.id", lastValue: 20_000, limit: 2_147_483_647 });
    const [standby] = await rowsOf("replication");
    expect(standby).toMatchObject({ state: "streaming" });
  });

  test("marks indexes that are unused, and those that another one repeats", async () => {
    const indexes = await rowsOf("indexes");
    const remark = (name: string) => indexes.find(({ index }) => index === `public.${name}`)!["remark"];
    expect(remark("parts_kind_again")).toBe("never scanned, same as parts_kind");
    expect(remark("parts_pkey")).toBe("primary key");
    expect((await rowsOf("unused-indexes")).map(({ index }) => index)).not.toContain("public.parts_pkey");
  });

  test("estimates the space that deleted rows take", async () => {
    const table = (await rowsOf("bloat")).find(({ object }) => object === "public.parts")!;
    expect(Number(table["wastedRatioEstimate"])).toBeGreaterThan(0.3);
    expect(Number(table["wastedRatioEstimate"])).toBeLessThan(0.7);
  });

  test("shows who waits for whom, without a literal, while a table is locked", async () => {
    const [holder, waiter] = [await cluster.connect(), await cluster.connect()];
    await holder.query("begin; lock table parts in access exclusive mode");
    const waiting = waiter.query("select count(*) from parts where name = 'secret name'");
    let rows: InspectReport["rows"] = [];
    await vi.waitFor(async () => expect((rows = await rowsOf("blocking"))).toHaveLength(2), { timeout: 20_000 });
    const held = rows.find(({ blockedBy }) => blockedBy !== null)!;
    expect(held["blockedBy"]).toBe(String(rows.find(({ blockedBy }) => blockedBy === null)!["pid"]));
    expect(held["awaits"]).toContain("AccessShareLock on parts");
    expect(held["query"]).toBe("select count(*) from parts where name = ?");
    // Nothing here waits for the lock that it looks at.
    for (const { name } of inspections) expect((await inspect(pool, name)).name).toBe(name);
    await holder.query("rollback");
    await waiting;
    await Promise.all([holder.end(), waiter.end()]);
  });

  test("gives the session back as it was, and knows no other name", async () => {
    await inspect(client, "settings");
    const { rows } = await client.query<Record<string, string>>("show default_transaction_read_only");
    expect(rows[0]).toEqual({ default_transaction_read_only: "off" });
    await expect(inspect(client, "lcoks")).rejects.toMatchObject({ code: "MONITOR_UNKNOWN_INSPECTION" });
    expect((await inspect(client, "table-sizes")).name).toBe("tables");
  });
});

describe("explainStatement", () => {
  test("plans a recorded statement for average values, without running it or showing a literal", async () => {
    await client.query("select name from parts where kind = 3 and name <> 'a secret'");
    const query = (await rowsOf("queries")).find(({ query: each }) =>
      String(each).startsWith("select name from parts"),
    );
    const plan = (await explainStatement(pool, String(query!["queryId"])))!;
    expect(plan.note).toBeNull();
    expect(plan.nodes.map(({ on }) => on).join()).toContain("parts");
    expect(JSON.stringify(plan)).not.toContain("secret");
    const { rows } = await client.query<{ calls: string }>("select calls from pg_stat_statements where queryid = $1", [
      query!["queryId"],
    ]);
    expect(rows[0]!.calls).toBe("1");
  });

  test("knows no statement but those recorded", async () => {
    expect(await explainStatement(pool, "1")).toBeUndefined();
    expect(await explainStatement(pool, "1; drop table parts")).toBeUndefined();
    // Twenty digits that are no int8.
    expect(await explainStatement(pool, "99999999999999999999")).toBeUndefined();
  });
});
