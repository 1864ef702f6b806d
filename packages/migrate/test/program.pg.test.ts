import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyMigrations, migrationStatus, planMigrations, planRollback } from "../src/index.ts";
import { freshPoolOn } from "./fresh-pool.ts";
import { makeWorkspace } from "./workspace.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

const freshPool = () => freshPoolOn(cluster);

const people = `// migrate:up lock_timeout=2s
interface Person { id: number; name: string }
export default {
  async up({ sql, kysely }: { sql: any; kysely: any }): Promise<void> {
    await sql("create table people (id int, name text)");
    const rows: Person[] = [{ id: 1, name: "Ada" }, { id: 2, name: "Grace" }];
    await kysely.insertInto("people").values(rows).execute();
  },
  async down({ kysely }: { kysely: any }): Promise<void> {
    await kysely.schema.dropTable("people").execute();
  },
  async verify({ kysely }: { kysely: any }): Promise<void> {
    const people = await kysely.selectFrom("people").selectAll().execute();
    if (people.length !== 2) throw new Error("nobody is there");
  },
};
`;

describe("a migration written in TypeScript", () => {
  test("runs with SQL and a Kysely in the transaction of its history row, and is undone by its own down", async () => {
    await using files = await makeWorkspace({ "0001_people.ts": people, "0002_more.sql": "create table more ();" });
    await using pool = await freshPool();
    const { directory } = files;
    const plan = await planMigrations(pool, { directory });
    expect(plan.migrations[0]).toMatchObject({
      id: "0001_people",
      transactional: true,
      lockTimeoutMs: 2_000,
      statements: [{ kind: "PROGRAM", effects: { opaque: true } }],
    });
    const rehearsed = await applyMigrations(pool, plan, { execute: "rollback" });
    expect(rehearsed.applied.map(({ id }) => id)).toEqual(["0001_people", "0002_more"]);
    expect((await pool.query("select to_regclass('people') as t")).rows).toEqual([{ t: null }]);
    await applyMigrations(pool, JSON.parse(JSON.stringify(plan)) as typeof plan);
    expect((await pool.query("select name from people order by id")).rows).toEqual([
      { name: "Ada" },
      { name: "Grace" },
    ]);
    expect((await planMigrations(pool, { directory })).migrations).toEqual([]);
    const down = await planRollback(pool, { directory, steps: 2, allowDataLoss: true });
    expect(down.findings.map(({ id, migration }) => [id, migration])).toContainEqual(["MIGRATE-NO-DOWN", "0002_more"]);
    await files.write({ "0002_more.down.sql": "drop table more;" });
    await applyMigrations(pool, await planRollback(pool, { directory, steps: 2, allowDataLoss: true }));
    expect((await pool.query("select to_regclass('people') as t")).rows).toEqual([{ t: null }]);
  });

  test("leaves nothing when it throws, and is refused once it was edited after it ran", async () => {
    await using files = await makeWorkspace({ "0001_people.ts": people.replace("!== 2", "!== 3") });
    await using pool = await freshPool();
    const { directory } = files;
    await expect(applyMigrations(pool, await planMigrations(pool, { directory }))).rejects.toThrow(
      "0001_people.ts:1: PROGRAM failed: nobody is there",
    );
    expect((await pool.query("select to_regclass('people') as t")).rows).toEqual([{ t: null }]);
    await files.write({ "0001_people.ts": people });
    await applyMigrations(pool, await planMigrations(pool, { directory }));
    await files.write({ "0001_people.ts": people.replace("Ada", "Eve") });
    const status = await migrationStatus(pool, { directory });
    expect(status.findings).toMatchObject([{ id: "MIGRATE-CHANGED", migration: "0001_people" }]);
  });

  test("with transaction=false is asked about when it was cut short", async () => {
    const program = `// migrate:up transaction=false
export async function up({ sql }) {
  await sql("create table if not exists t ()");
  await sql("create index concurrently if not exists i on t ((1))");
}`;
    await using files = await makeWorkspace({ "0001_t.mjs": program });
    await using pool = await freshPool();
    const { directory } = files;
    const report = await applyMigrations(pool, await planMigrations(pool, { directory }));
    expect(report.applied[0]).toMatchObject({ transactional: false });
    await pool.query("update db_migrate.history set state = 'running'");
    await pool.query("update db_migrate.history_statements set state = 'running'");
    const again = await planMigrations(pool, { directory });
    await expect(applyMigrations(pool, again)).rejects.toMatchObject({ code: "MIGRATE_UNCERTAIN" });
    await applyMigrations(pool, again, { uncertain: "rerun" });
    expect((await migrationStatus(pool, { directory })).pending).toBe(0);
  });

  test("that cannot be loaded, or has no up, says so", async () => {
    await using files = await makeWorkspace({ "0001_a.ts": "export const nothing = 1;" });
    await using pool = await freshPool();
    const { directory } = files;
    const run = async (): Promise<unknown> => applyMigrations(pool, await planMigrations(pool, { directory }));
    await expect(run()).rejects.toMatchObject({ code: "MIGRATE_PROGRAM", message: "0001_a.ts has no up" });
    await files.write({ "0001_a.ts": "export async function up( {" });
    await expect(run()).rejects.toMatchObject({ code: "MIGRATE_PROGRAM" });
    await files.write({ "0001_a.ts": "// migrate:up lock_timeot=3s\nexport async function up() {}" });
    await expect(run()).rejects.toMatchObject({ problems: [{ code: "MIGRATE-DIRECTIVE", line: 1 }] });
  });
});

describe("placeholders", () => {
  test("are filled in SQL; a name without a value is told with its place, another value is no edit", async () => {
    await using files = await makeWorkspace({
      "0001_t.sql":
        "-- migrate:up\ncreate table ${schema}.t (a text default '\\${literal}');\n-- migrate:down\ndrop table ${schema}.t;\n",
    });
    await using pool = await freshPool();
    const { directory } = files;
    await expect(planMigrations(pool, { directory, placeholders: { scheme: "x" } })).rejects.toMatchObject({
      problems: [
        { code: "MIGRATE-PLACEHOLDER", line: 2, column: 14, hint: "Give it one in placeholders; known: scheme." },
        { code: "MIGRATE-PLACEHOLDER", line: 4 },
      ],
    });
    const placeholders = { schema: "public" };
    await applyMigrations(pool, await planMigrations(pool, { directory, placeholders }));
    await pool.query("insert into t default values");
    expect((await pool.query("select a from t")).rows).toEqual([{ a: "${literal}" }]);
    const other = await planMigrations(pool, { directory, placeholders: { schema: "elsewhere" } });
    expect(other).toMatchObject({ migrations: [], findings: [] });
    await files.remove("0001_t.sql");
    await applyMigrations(pool, await planRollback(pool, { directory, allowDataLoss: true }));
    expect((await pool.query("select to_regclass('public.t') as t")).rows).toEqual([{ t: null }]);
  });
});
