import { startCluster } from "@db/testkit";
import { describe, expect, test } from "vitest";
import { analyzeIndexes, applyAndMeasure, dropIndex } from "../src/index.ts";
import { loadCivicData } from "./civic-data.ts";

describe.each([12, 13, 14, 15, 16, 17, 18])("on PostgreSQL %i", (version) => {
  test("a recorded statement gets an index that helps it, and the audit finds what is superfluous", async () => {
    await using cluster = await startCluster({
      version,
      settings: { shared_preload_libraries: "pg_stat_statements" },
    });
    const pool = cluster.createPool();
    await loadCivicData(pool);
    const query = { sql: "select id from bills where sponsor_id = $1 order by introduced desc limit 10", values: [17] };
    for (let call = 0; call < 5; call += 1) await pool.query(query.sql, query.values);
    await pool.query("create index a on bills (title); create index b on bills (title, status)");
    const report = await analyzeIndexes(pool);
    expect(report.workload.source).toBe("pg_stat_statements");
    expect(report.workload.uncovered).toEqual([]);
    expect(report.duplicates.map((item) => item.name)).toEqual(["a"]);
    const found = report.recommendations.find((item) => item.definition.table === "bills")!;
    expect(found.definition.keys.map((key) => key.column)).toEqual(["sponsor_id", "introduced"]);
    expect(await applyAndMeasure(pool, found, query)).toMatchObject({ outcome: "kept", used: true });
    expect((await dropIndex(pool, { schema: "public", name: "a" })).outcome).toBe("dropped");
    await pool.end();
  });
});
