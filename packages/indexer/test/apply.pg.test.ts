import { isDbError } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client, Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  analyzeIndexes,
  applyAndMeasure,
  applyIndexPack,
  applyRecommendation,
  dropIndex,
  type IndexPack,
  measureQuery,
  planIndexPack,
} from "../src/index.ts";
import { loadCivicData } from "./civic-data.ts";

let cluster: TestCluster<1>;
let template: string;
/** Nobody changes it. */
let shared: Pool;
const pools: Pool[] = [];

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1, settings: { shared_preload_libraries: "pg_stat_statements" } });
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

const byTitle = { definition: { table: "bills", name: "bills_title_idx", keys: [{ column: "title" }] } };

async function indexes(pool: Pool): Promise<readonly string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select indexrelid::regclass::text || case when indisvalid then '' else ' (invalid)' end as name
       from pg_index where indrelid = 'bills'::regclass and not indisunique order by 1`,
  );
  return rows.map((row) => row.name);
}

/** What a concurrent build leaves that cannot be unique. */
async function leaveInvalid(pool: Pool): Promise<void> {
  await pool.query("create unique index concurrently bills_title_idx on bills (status)").catch(() => undefined);
}

describe("applyRecommendation", () => {
  test("makes the index, and does nothing the second time", async () => {
    const pool = await database();
    const made = await applyRecommendation(pool, byTitle);
    expect(made).toMatchObject({ outcome: "created", attempts: 1, index: "bills_title_idx" });
    expect(made.bytes).toBeGreaterThan(1_000_000);
    expect(await applyRecommendation(pool, byTitle)).toMatchObject({ outcome: "present", statements: [] });
  });

  test("a dry run tells the statements and makes nothing", async () => {
    const pool = await database();
    const told = await applyRecommendation(pool, byTitle, { dryRun: true });
    expect(told).toMatchObject({
      outcome: "planned",
      statements: ['create index concurrently "bills_title_idx" on "public"."bills" using btree ("title")'],
    });
    expect(await indexes(pool)).toEqual([]);
  });

  test("replaces what a failed build left", async () => {
    const pool = await database();
    await leaveInvalid(pool);
    const { invalid, findings } = await analyzeIndexes(pool, { workload: [] });
    expect(invalid.map((item) => item.name)).toEqual(["bills_title_idx"]);
    expect(findings.map((finding) => finding.id)).toContain("INDEX-INVALID");
    const made = await applyRecommendation(pool, byTitle);
    expect(made.statements[0]).toContain("drop index concurrently");
    expect(await indexes(pool)).toEqual(["bills_title_idx"]);
  });

  test("leaves nothing when the table stays locked, and says so", async () => {
    const pool = await database();
    const holder = await pool.connect();
    await holder.query("begin; lock table bills in row exclusive mode");
    const attempt = applyRecommendation(pool, byTitle, { lockTimeoutMs: 50, attempts: 2, retryDelayMs: 1 });
    await expect(attempt).rejects.toMatchObject({ code: "INDEX_LOCK_TIMEOUT", retryable: true });
    await holder.query("rollback");
    holder.release();
    expect(await indexes(pool)).toEqual([]);
  });

  test("goes on once the lock is free", async () => {
    const pool = await database();
    const holder = await pool.connect();
    await holder.query("begin; lock table bills in row exclusive mode");
    const clock = {
      now: () => Date.now(),
      sleep: async (): Promise<void> => {
        await holder.query("rollback");
      },
    };
    const made = await applyRecommendation(pool, byTitle, { lockTimeoutMs: 50, clock });
    holder.release();
    expect(made).toMatchObject({ outcome: "created", attempts: 1 });
  });

  test("tries again when another holds the lock that only one may hold", async () => {
    const pool = await database();
    const holder = await pool.connect();
    await holder.query("begin; lock table bills in share update exclusive mode");
    const clock = {
      now: () => Date.now(),
      sleep: async (): Promise<void> => {
        await holder.query("rollback");
      },
    };
    const made = await applyRecommendation(pool, byTitle, { lockTimeoutMs: 50, clock });
    holder.release();
    expect(made).toMatchObject({ outcome: "created", attempts: 2 });
  });

  test("says so when an invalid index had to be left, and replaces it the next time", async () => {
    const pool = await database();
    await leaveInvalid(pool);
    const holder = await pool.connect();
    await holder.query("begin; lock table bills in row exclusive mode");
    const refused = applyRecommendation(pool, byTitle, { lockTimeoutMs: 50, attempts: 1 });
    await expect(refused).rejects.toThrow("the invalid index bills_title_idx is left");
    await holder.query("rollback");
    holder.release();
    expect((await applyRecommendation(pool, byTitle)).outcome).toBe("created");
    expect(await indexes(pool)).toEqual(["bills_title_idx"]);
  });

  test("stops when told to, and drops what was half made", async () => {
    const pool = await database();
    const holder = await pool.connect();
    await holder.query("begin; lock table bills in share update exclusive mode");
    const controller = new AbortController();
    const attempt = applyRecommendation(pool, byTitle, { lockTimeoutMs: 60_000, signal: controller.signal });
    const waiting = "select 1 from pg_locks where not granted and relation = 'bills'::regclass";
    while ((await holder.query(waiting)).rows.length === 0);
    controller.abort();
    await expect(attempt).rejects.toMatchObject({ code: "CORE_ABORTED" });
    await holder.query("rollback");
    holder.release();
    expect(await indexes(pool)).toEqual([]);
  });

  test("refuses a name another index has, a table that is not there, and duplicates under a unique index", async () => {
    const pool = await database();
    await pool.query("create index bills_title_idx on bills (status)");
    await expect(applyRecommendation(pool, byTitle)).rejects.toMatchObject({ code: "INDEX_NAME_TAKEN" });
    const nowhere = { definition: { table: "laws", keys: [{ column: "id" }] } };
    await expect(applyRecommendation(pool, nowhere)).rejects.toMatchObject({ code: "INDEX_INVALID_DEFINITION" });
    const unique = { definition: { table: "bills", keys: [{ column: "status" }], unique: true } };
    const refused = await applyRecommendation(pool, unique).catch((error: unknown) => error);
    expect(isDbError(refused, "INDEX_APPLY_FAILED") && refused.hint).toContain("duplicates");
    expect(await indexes(pool)).toEqual(["bills_title_idx"]);
  });

  test("refuses a standby", async () => {
    const standby = new Pool({ connectionString: cluster.replicas[0].url });
    await expect(applyRecommendation(standby, byTitle)).rejects.toMatchObject({ code: "INDEX_READ_ONLY" });
    await standby.end();
  });

  test("refuses to run beside another build in the same database", async () => {
    const pool = await database();
    const holder = await pool.connect();
    await holder.query("begin; lock table bills in share update exclusive mode");
    const first = applyRecommendation(pool, byTitle, { lockTimeoutMs: 60_000 });
    const waiting = "select 1 from pg_locks where not granted and relation = 'bills'::regclass";
    while ((await holder.query(waiting)).rows.length === 0);
    const second = applyRecommendation(pool, { definition: { table: "bills", keys: [{ column: "status" }] } });
    await expect(second).rejects.toMatchObject({ code: "INDEX_BUSY", retryable: true });
    await holder.query("rollback");
    holder.release();
    expect((await first).outcome).toBe("created");
  });

  test("works over a lone client", async () => {
    const { url } = await cluster.createDatabase({ template });
    const client = new Client({ connectionString: url });
    await client.connect();
    expect((await applyRecommendation(client, byTitle)).outcome).toBe("created");
    expect((await analyzeIndexes(client, { workload: [] })).unused).toHaveLength(1);
    await client.end();
  });
});

describe("a partitioned table", () => {
  const byBill = { definition: { table: "votes", name: "votes_bill_idx", keys: [{ column: "bill" }] } };

  async function withVotes(): Promise<Pool> {
    const pool = await database();
    await pool.query(`
      create table votes (bill int not null, cast_on date not null, yes boolean) partition by range (cast_on);
      create table votes_2023 partition of votes for values from ('2023-01-01') to ('2024-01-01');
      create table votes_2024 partition of votes for values from ('2024-01-01') to ('2025-01-01')
        partition by range (cast_on);
      create table votes_2024_a partition of votes_2024 for values from ('2024-01-01') to ('2024-07-01');
      create table votes_2024_b partition of votes_2024 for values from ('2024-07-01') to ('2025-01-01');
      insert into votes select i % 20000, date '2023-01-01' + i % 700, true from generate_series(1, 60000) i;
      analyze votes`);
    return pool;
  }

  test("gets one index per partition, joined under one name that is valid", async () => {
    const pool = await withVotes();
    const planned = await applyRecommendation(pool, byBill, { dryRun: true });
    const made = await applyRecommendation(pool, byBill);
    expect(made.statements).toEqual(planned.statements);
    expect(made.statements.filter((sql) => sql.includes("concurrently"))).toHaveLength(3);
    expect(made.statements.filter((sql) => sql.includes("attach partition"))).toHaveLength(4);
    const { rows } = await pool.query(
      "select indisvalid as valid from pg_index where indexrelid = 'votes_bill_idx'::regclass",
    );
    expect(rows).toEqual([{ valid: true }]);
    expect((await applyRecommendation(pool, byBill)).outcome).toBe("present");
    expect((await dropIndex(pool, { schema: "public", name: "votes_bill_idx" })).outcome).toBe("dropped");
  });

  test("is gone on with where the last attempt stopped", async () => {
    const pool = await withVotes();
    const { statements } = await applyRecommendation(pool, byBill, { dryRun: true });
    for (const statement of statements.slice(0, 4)) await pool.query(statement);
    const made = await applyRecommendation(pool, byBill);
    expect(made.outcome).toBe("created");
    expect(made.statements.length).toBeLessThan(statements.length);
    expect((await applyRecommendation(pool, byBill)).outcome).toBe("present");
  });

  test("is recommended an index that is then used in its partitions", async () => {
    const pool = await withVotes();
    const query = { sql: "select * from votes where bill = $1", values: [77] };
    const workload = [{ id: "1", text: query.sql, calls: 1, totalMs: 10 }];
    const { recommendations } = await analyzeIndexes(pool, { workload });
    expect(recommendations.map((item) => item.definition.table)).toEqual(["votes"]);
    expect(await applyAndMeasure(pool, recommendations[0]!, query)).toMatchObject({ outcome: "kept", used: true });
    expect((await analyzeIndexes(pool, { workload })).recommendations).toEqual([]);
  });
});

describe("dropIndex", () => {
  test("drops an index, and does nothing the second time", async () => {
    const pool = await database();
    await applyRecommendation(pool, byTitle);
    const index = { schema: "public", name: "bills_title_idx" };
    expect((await dropIndex(pool, index)).outcome).toBe("dropped");
    expect((await dropIndex(pool, index)).outcome).toBe("absent");
  });

  test("leaves an index that a constraint needs", async () => {
    const pool = await database();
    const refused = dropIndex(pool, { schema: "public", name: "bills_pkey" });
    await expect(refused).rejects.toMatchObject({ code: "INDEX_APPLY_FAILED" });
  });
});

describe("applyAndMeasure", () => {
  test("drops an index the plan does not use", async () => {
    const pool = await database();
    const query = { sql: "select count(*) from bills where status = $1", values: ["draft"] };
    // Whatever the clock says: unused is unused.
    const trial = await applyAndMeasure(pool, byTitle, query, { runs: 2, minImprovement: -1_000 });
    expect(trial).toMatchObject({ outcome: "rolled-back", used: false });
    expect(await indexes(pool)).toEqual([]);
  });

  test("makes a search by part of a word faster", async () => {
    const pool = await database();
    const query = { sql: "select id from bills where title ilike $1", values: ["%c4ca4238a0b9%"] };
    const workload = [{ id: "1", text: query.sql, calls: 1, totalMs: 100 }];
    const [found] = (await analyzeIndexes(pool, { workload })).recommendations;
    const trial = await applyAndMeasure(pool, found!, query, { runs: 3 });
    expect(trial).toMatchObject({ outcome: "kept", used: true });
    expect(trial.improvement).toBeGreaterThan(0.5);
  });
});

describe("measureQuery", () => {
  test("measures one select and keeps no value of it", async () => {
    const measured = await measureQuery(shared, {
      sql: "select 1 from bills where title = $1",
      values: ["secret"],
    });
    expect(measured.medianMs).toBeGreaterThan(0);
    expect(measured.minMs).toBeLessThanOrEqual(measured.medianMs);
    expect(JSON.stringify(measured)).not.toContain("secret");
  });

  test.each(["delete from bills", "select 1; select 2", "select from where", "", "explain select 1"])(
    "refuses %j",
    async (sql) => {
      const refused = measureQuery(shared, { sql });
      await expect(refused).rejects.toMatchObject({ code: "INDEX_UNMEASURABLE_QUERY" });
    },
  );
});

describe("index packs", () => {
  const pack: IndexPack = {
    name: "civic",
    indexes: [
      { name: "bills_status_idx", table: "bills", keys: [{ column: "status" }], why: "filters by status" },
      {
        name: "bills_title_trgm_idx",
        table: "bills",
        method: "gin",
        keys: [{ column: "title", opclass: "gin_trgm_ops" }],
        requires: ["pg_trgm"],
        why: "finds by a part of the title",
      },
      {
        name: "bills_withdrawn_idx",
        table: "bills",
        keys: [{ column: "withdrawn", descending: true }],
        where: "withdrawn is not null",
        why: "lists the withdrawn",
      },
    ],
  };

  test("makes what is lacking, and plans nothing afterwards", async () => {
    const pool = await database();
    await pool.query("create index by_status on bills (status, introduced)");
    const plan = await planIndexPack(pool, pack);
    expect(plan.create.map((item) => item.id)).toEqual(["bills_title_trgm_idx", "bills_withdrawn_idx"]);
    expect(plan.present).toEqual([{ name: "bills_status_idx", by: "by_status" }]);
    const results = await applyIndexPack(pool, pack);
    expect(results.map((result) => result.outcome)).toEqual(["created", "created"]);
    expect((await planIndexPack(pool, pack)).create).toEqual([]);
  });

  test("makes an index anew that was left invalid", async () => {
    const pool = await database();
    await pool.query("create unique index concurrently bills_status_idx on bills (status)").catch(() => undefined);
    const plan = await planIndexPack(pool, pack);
    expect(plan.invalid).toEqual(["bills_status_idx"]);
    await applyIndexPack(pool, pack);
    expect(await indexes(pool)).toEqual(["bills_status_idx", "bills_title_trgm_idx", "bills_withdrawn_idx"]);
  });

  test("names every problem at once and makes nothing", async () => {
    const pool = await database();
    const broken: IndexPack = {
      name: "broken",
      indexes: [
        ...pack.indexes,
        { name: "a", table: "laws", keys: [{ column: "id" }], why: "" },
        { name: "b", table: "bills", keys: [{ column: "titel" }], why: "" },
        { name: "c", table: "bills", keys: [{ expression: "lower(nothing)" }], why: "" },
        { name: "d", table: "bills", keys: [{ column: "title" }], requires: ["pg_magic"], why: "" },
        { name: "e", table: "bills", keys: [{ column: "title" }], where: "when()", why: "" },
      ],
    };
    const { problems } = await planIndexPack(pool, broken);
    expect(problems.map((problem) => problem.index)).toEqual(["a", "b", "c", "d", "e"]);
    await expect(applyIndexPack(pool, broken)).rejects.toMatchObject({ code: "INDEX_INVALID_DEFINITION" });
    expect(await indexes(pool)).toEqual([]);
  });
});
