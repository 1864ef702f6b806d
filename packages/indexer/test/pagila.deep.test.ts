import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { startCluster } from "@db/testkit";
import { describe, expect, test } from "vitest";
import { analyzeIndexes } from "../src/index.ts";

const file = path.resolve(import.meta.dirname, "../../../../shared/data/postgres/pagila.sql");
if (!existsSync(file)) console.log(`skipped: no database of somebody else's at ${file}`);

describe.skipIf(!existsSync(file))("a database somebody else made", () => {
  test("is analysed without statistics, workload or right to write, and left as it was", async () => {
    await using cluster = await startCluster();
    const pool = cluster.createPool();
    // COPY blocks are the client's to send: they are left out, the indexes and keys stay.
    const sql = readFileSync(file, "utf8").replaceAll(/^COPY .*?^\\\.$/gms, "");
    const client = await pool.connect();
    await client.query(sql).finally(() => client.release(true));
    const state =
      "select c.oid, c.relname, i.indisvalid from pg_class c left join pg_index i on i.indexrelid = c.oid order by 1";
    const before = (await pool.query(state)).rows;
    await pool.query("set default_transaction_read_only = on");
    const report = await analyzeIndexes(pool);
    expect(report.workload.source).toBe("none");
    expect(report.duplicates.length).toBeGreaterThan(0);
    expect(report.foreignKeysWithoutIndex.map((item) => `${item.table}.${item.columns.join()}`)).toContain(
      "film_category.category_id",
    );
    expect((await pool.query(state)).rows).toEqual(before);
    await pool.end();
  });
});
