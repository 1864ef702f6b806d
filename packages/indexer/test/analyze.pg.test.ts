import { startCluster, type TestCluster } from "@db/testkit";
import { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { analyzeIndexes, applyAndMeasure, createIndexSql, type IndexRecommendation } from "../src/index.ts";
import { loadCivicData } from "./civic-data.ts";

let cluster: TestCluster;
let template: string;
/** Nobody changes it. */
let shared: Pool;
const pools: Pool[] = [];

beforeAll(async () => {
  cluster = await startCluster({ settings: { shared_preload_libraries: "pg_stat_statements" } });
  const made = await cluster.createDatabase();
  template = made.name;
  const pool = new Pool({ connectionString: made.url });
  await loadCivicData(pool);
  await pool.end();
  shared = await database();
});

afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.end()));
  await cluster.stop();
});

async function database(): Promise<Pool> {
  const { url } = await cluster.createDatabase({ template });
  const pool = new Pool({ connectionString: url });
  pool.on("error", () => undefined);
  pools.push(pool);
  return pool;
}

async function recommended(pool: Pool, sql: string): Promise<readonly IndexRecommendation[]> {
  const workload = [{ id: "1", text: sql, calls: 100, totalMs: 1_000 }];
  return (await analyzeIndexes(pool, { workload })).recommendations;
}

function sorted(rows: readonly (readonly unknown[])[]): readonly (readonly unknown[])[] {
  return rows.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
}

function keysOf({ definition }: IndexRecommendation): readonly string[] {
  return definition.keys.map((key) => `${key.column ?? key.expression}${key.descending === true ? " desc" : ""}`);
}

describe("recommendations", () => {
  test("a slow recorded statement gets an index that its plan then uses and that makes it faster", async () => {
    const pool = await database();
    const query = {
      sql: "select id from bills where sponsor_id = $1 order by introduced desc limit 10",
      values: [17],
    };
    for (let call = 0; call < 20; call += 1) await pool.query(query.sql, query.values);
    const report = await analyzeIndexes(pool);
    expect(report.workload.source).toBe("pg_stat_statements");
    const [first] = report.recommendations;
    expect(keysOf(first!)).toEqual(["sponsor_id", "introduced desc"]);
    expect(first!.helps[0]!.calls).toBe(20);
    expect(report.findings.map((finding) => finding.id)).toContain("INDEX-MISSING");
    const trial = await applyAndMeasure(pool, first!, query);
    expect(trial.outcome).toBe("kept");
    expect(trial.before.plan.sequentialScans).toEqual(["bills"]);
    expect(trial.after.plan.indexes).toEqual([first!.id]);
    expect(trial.improvement).toBeGreaterThan(0.5);
    expect((await analyzeIndexes(pool)).recommendations.filter((item) => item.definition.table === "bills")).toEqual(
      [],
    );
  });

  test("a recorded statement is found behind the comments of an ORM", async () => {
    const pool = await database();
    await pool.query("/* app:web */ -- list\n select id from bills where title = 'a commented statement'");
    const { recommendations } = await analyzeIndexes(pool);
    expect(recommendations.map(keysOf)).toContainEqual(["title"]);
  });

  test("the report is plain data", async () => {
    const report = await analyzeIndexes(shared);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  test.each([
    ["select * from bills where status = $1 and sponsor_id = $2", [["sponsor_id", "status"]], "btree"],
    [
      "select * from bills where introduced >= $1 and introduced < $2 and status = $3",
      [["status", "introduced"]],
      "btree",
    ],
    ["select * from bills where title ilike $1", [["title"]], "gin"],
    ["select * from bills where title like '%about%'", [["title"]], "gin"],
    ["select * from bills where search @@ plainto_tsquery($1)", [["search"]], "gin"],
    ["select * from bills where tags @> array[$1]", [["tags"]], "gin"],
    ["select * from bills where tags && $1::text[]", [["tags"]], "gin"],
    ["select * from bills where details @> $1", [["details"]], "gin"],
    ["select * from bills where lower(title) = $1", [['lower("title")']], "btree"],
    ["select id from bills where withdrawn is not null", [["withdrawn"]], "btree"],
    ["delete from bills where title = $1", [["title"]], "btree"],
    ["update bills set status = $1 where title = $2", [["title"]], "btree"],
    [
      "select * from bills where to_tsvector($1, title) @@ plainto_tsquery($2)",
      [[`to_tsvector('pg_catalog.english'::regconfig, "title")`]],
      "gin",
    ],
    ["with recent as (select * from bills where title = $1) select count(*) from recent", [["title"]], "btree"],
    ["select * from sponsors s join bills b on b.sponsor_id = s.id where s.name = $1", [["sponsor_id"]], "btree"],
    ["select * from bills where title = $1 or details @> $2", [["title"], ["details"]], undefined],
  ] as const)("recommends for %s", async (sql, keys, method) => {
    const found = await recommended(shared, sql);
    expect(sorted(found.map(keysOf))).toEqual(sorted(keys));
    if (method !== undefined) expect(found[0]!.definition.method ?? "btree").toBe(method);
  });

  test.each([
    ["select * from bills where id = $1", "the primary key serves it"],
    ["select * from bills where number = $1 and status = $2", "a unique index finds one row"],
    ["select * from sponsors where name = $1", "the table is small"],
    ["select * from bills where status = $1", "a quarter of the table is read whole"],
    ["select count(*) from bills", "all of it is wanted"],
    ["select * from bills where withdrawn is null", "nearly all of it is wanted"],
    ["insert into bills select * from bills where id = $1", "the primary key serves it"],
    ["select * from bills b where b.introduced > b.withdrawn", "columns of one row are compared"],
    ["select * from nowhere where a = $1", "the table is not there"],
    ["select select", "it is no SQL"],
  ])("recommends nothing for %s: %s", async (sql) => {
    expect(await recommended(shared, sql)).toEqual([]);
  });

  test("names the statements it could say nothing about", async () => {
    const workload = [{ id: "7", text: "select select", calls: 1, totalMs: 1 }];
    const report = await analyzeIndexes(shared, { workload });
    expect(report.workload.uncovered[0]).toMatchObject({
      id: "7",
      reason: expect.stringContaining("cannot be parsed"),
    });
  });

  test("an index for parts of words brings its extension", async () => {
    const [found] = await recommended(shared, "select * from bills where title ilike $1");
    expect(found!.ddl).toEqual([
      'create extension if not exists "pg_trgm"',
      expect.stringContaining('using gin ("title" "gin_trgm_ops")'),
    ]);
  });

  test("one index serves two statements when its keys begin with the other's", async () => {
    const workload = [
      { id: "a", text: "select * from bills where sponsor_id = $1", calls: 1, totalMs: 10 },
      { id: "b", text: "select * from bills where sponsor_id = $1 and introduced > $2", calls: 1, totalMs: 5 },
    ];
    const { recommendations } = await analyzeIndexes(shared, { workload });
    expect(recommendations.map(keysOf)).toEqual([["sponsor_id", "introduced"]]);
    expect(recommendations[0]!.helps.map((help) => help.id)).toEqual(["a", "b"]);
  });

  test("a large table in the order of a column gets BRIN for ranges over it", async () => {
    const workload = [
      { id: "1", text: "select * from bills where introduced between $1 and $2", calls: 1, totalMs: 9 },
    ];
    const { recommendations } = await analyzeIndexes(shared, { workload, brinMinBytes: 1024 ** 2 });
    expect(recommendations.map(({ definition }) => definition.method)).toEqual(["brin"]);
  });

  test("says how to record statements where none are recorded", async () => {
    const pool = await database();
    await pool.query("drop extension pg_stat_statements");
    const report = await analyzeIndexes(pool);
    expect(report.workload).toMatchObject({ source: "none", reason: expect.stringContaining("not installed") });
    expect(report.findings.map((finding) => finding.id)).toContain("INDEX-NO-WORKLOAD");
  });

  test("changes nothing", async () => {
    const pool = await database();
    const client = await pool.connect();
    await client.query("select * from bills where title = 'x'");
    const before = await client.query("select oid, * from pg_class where relkind <> 't' order by oid");
    await analyzeIndexes(pool);
    const after = await client.query("select oid, * from pg_class where relkind <> 't' order by oid");
    client.release();
    expect(after.rows).toEqual(before.rows);
  });
});

describe("audit", () => {
  test("finds superfluous indexes and leaves those that promise or order something else", async () => {
    const pool = await database();
    await pool.query(`
      create table t (a int, b int, c text, d int not null, e int not null, f int not null);
      create index t_a on t (a);
      create index t_ab on t (a, b);
      create unique index t_d_unique on t (d);
      create index t_de on t (d, e);
      create index t_c on t (c);
      create index t_c_pattern on t (c text_pattern_ops);
      create index t_c_collate on t (c collate "C");
      create index t_b on t (b);
      create index t_b_desc on t (b desc);
      create index t_e_f_desc on t (e, f desc);
      create index t_e_f on t (e, f);
      create index t_lower on t (lower(c));
      create index t_lower_a on t (lower(c), a);
      create index t_f_where on t (f) where a = 1;
      create index t_f on t (f);
      create index t_f_again on t (f);
      create index t_f_hash on t using hash (f);
      create index t_b_include_a on t (b) include (a);
      create index t_b_include_c on t (b) include (c)`);
    const { duplicates } = await analyzeIndexes(pool, { workload: [] });
    const own = duplicates.filter((item) => item.table === "t").map((item) => [item.name, item.kind, item.coveredBy]);
    expect(own.toSorted((a, b) => a[0]!.localeCompare(b[0]!))).toEqual([
      ["t_a", "covered", "t_ab"],
      ["t_b", "covered", expect.stringMatching(/^t_b_(desc|include_.)$/)],
      ["t_b_desc", "covered", expect.stringMatching(/^t_b_include_.$/)],
      ["t_f_again", "duplicate", "t_f"],
      ["t_lower", "covered", "t_lower_a"],
    ]);
  });

  test("calls unused neither keys nor unique indexes nor those a foreign key wants", async () => {
    const pool = await database();
    await pool.query(`
      create index bills_sponsor on bills (sponsor_id);
      create unique index bills_number_title on bills (number, title);
      create index bills_title on bills (title)`);
    const { unused } = await analyzeIndexes(pool, { workload: [] });
    expect(unused.map((item) => item.name)).toEqual(["bills_title"]);
    expect(unused[0]!.certain).toBe(false);
    expect(unused[0]!.reservations[0]).toContain("0 days");
    await pool.query(unused[0]!.drop);
    await pool.query(unused[0]!.undo);
  });

  test("finds a foreign key without an index, and no longer once it has one", async () => {
    const pool = await database();
    const { foreignKeysWithoutIndex, findings } = await analyzeIndexes(pool, { workload: [] });
    expect(foreignKeysWithoutIndex).toMatchObject([{ table: "bills", columns: ["sponsor_id"], rows: 50_000 }]);
    expect(findings.find((finding) => finding.id === "INDEX-FOREIGN-KEY")?.severity).toBe("warn");
    await pool.query(createIndexSql(foreignKeysWithoutIndex[0]!.definition));
    expect((await analyzeIndexes(pool, { workload: [] })).foreignKeysWithoutIndex).toEqual([]);
  });
});
