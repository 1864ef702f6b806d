import { toDatabase } from "@db/core";
import { startCluster } from "@db/testkit";
import { expect, test } from "vitest";
import { collectCatalog } from "../src/catalog.ts";
import { predictEffects } from "../src/effects.ts";
import { loadParser } from "../src/parser.ts";
import { WorkingCatalog } from "../src/working-catalog.ts";
import { observe } from "./observe.ts";

const types = [
  "smallint",
  "int",
  "bigint",
  "oid",
  "real",
  "double precision",
  "numeric",
  "numeric(10,2)",
  "numeric(12,2)",
  "numeric(12,4)",
  "text",
  "varchar",
  "varchar(20)",
  "varchar(50)",
  "char(5)",
  "citext",
  "name",
  "json",
  "jsonb",
  "xml",
  "bytea",
  "uuid",
  "boolean",
  "date",
  "time",
  "time(3)",
  "timestamp",
  "timestamp(3)",
  "timestamptz",
  "timestamptz(3)",
  "interval",
  "interval(3)",
  "inet",
  "cidr",
  "bit(8)",
  "varbit",
  "varbit(8)",
  "varbit(16)",
  "int[]",
  "bigint[]",
  "text[]",
  "varchar[]",
  "varchar(20)[]",
  "mood",
  "plain",
  "positive",
];

test.each([12, 13, 14, 15, 16, 17, 18])("every type to every other on PostgreSQL %i", async (version) => {
  await using cluster = await startCluster({ version });
  const client = await cluster.connect();
  try {
    await client.query(
      "create extension citext; create type mood as enum ('a'); create domain plain as int; create domain positive as int check (value > 0); set timezone = 'UTC'",
    );
    for (const [index, type] of types.entries()) await client.query(`create table t${index} (c ${type})`);
    const catalog = await toDatabase(client).withSession((session) => collectCatalog(session, "db_migrate"));
    const parser = await loadParser();
    const wrong: string[] = [];
    let judged = 0;
    for (const [index, from] of types.entries()) {
      for (const to of types) {
        const sql = `alter table t${index} alter column c type ${to}`;
        const real = await observe(client, sql).catch(() => null);
        // The server knows no cast it may use by itself.
        if (!real) continue;
        judged++;
        const [statement] = parser.parse(sql);
        const predicted = statement && predictEffects(statement.node, new WorkingCatalog(catalog));
        const rewrites = real.rewrites.length > 0;
        if (predicted?.rewrites.length !== (rewrites ? 1 : 0))
          wrong.push(`${from} → ${to}: ${rewrites ? "rewrites" : "is free"}`);
      }
    }
    console.log(`PostgreSQL ${version}: ${judged} changes of type judged, ${wrong.length} predicted wrongly`);
    expect(judged).toBeGreaterThan(300);
    expect(wrong).toEqual([]);
  } finally {
    await client.end();
  }
});
