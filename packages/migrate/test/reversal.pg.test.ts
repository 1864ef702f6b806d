import { startCluster, type TestCluster } from "@db/testkit";
import { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatCatalogDifferences, proveReversals, type ShadowDatabase } from "../src/index.ts";
import { makeWorkspace } from "./workspace.ts";

let cluster: TestCluster<0>;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

async function createDatabase(): Promise<ShadowDatabase> {
  const { url } = await cluster.createDatabase();
  const db = new Pool({ connectionString: url, max: 1 });
  return { db, drop: () => db.end() };
}

const updown = (up: string, down: string): string => `-- migrate:up\n${up}\n-- migrate:down\n${down}\n`;

describe("proveReversals", () => {
  test("tells the downs that restore the catalog from those that do not, and what is left", async () => {
    await using files = await makeWorkspace({
      "0001_t.sql": updown("create table t (id int primary key, old text);", "drop table t;"),
      "0002_two.sql": updown("alter table t add a int, add b int not null default 1;", "alter table t drop a;"),
      "0003_index.sql": updown("create index concurrently t_a on t (a);", "drop index concurrently t_a;"),
      "0004_broken.sql": updown("create table u ();", "drop table nobody;"),
      "0005_none.sql": "-- migrate:up\ncreate table v ();",
      "0006_lost.sql": updown("alter table t drop old;", "alter table t add old text;"),
    });
    const report = await proveReversals({ directory: files.directory, createDatabase });
    expect(report.migrations.map(({ migration, outcome }) => `${migration} ${outcome}`)).toEqual([
      "0001_t restored",
      "0002_two up-again-failed",
      "0003_index restored",
      "0004_broken down-failed",
      "0005_none no-down",
      "0006_lost reordered",
    ]);
    expect(formatCatalogDifferences(report.migrations[1]?.differences ?? [])).toBe(
      "+ column public.t.b  int4 not null default 1",
    );
    expect(report.migrations[5]?.differences).toEqual([
      {
        object: "order of columns in public.t",
        change: "changed",
        before: "id, old, a, b",
        after: "id, a, b, old",
      },
    ]);
    expect(report).toMatchObject({ restored: 3, reordered: 1, broken: 2, withoutDown: 1 });
  });
});
