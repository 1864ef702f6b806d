import { existsSync, readFileSync } from "node:fs";
import { toDatabase } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Catalog, collectCatalog } from "../src/catalog.ts";
import { predictEffects } from "../src/effects.ts";
import { lint } from "../src/lint/lint.ts";
import { readSections } from "../src/migration-file.ts";
import { loadParser } from "../src/parser.ts";
import { parseMigration } from "../src/planned-migration.ts";
import { replay } from "../src/replay.ts";
import { WorkingCatalog } from "../src/working-catalog.ts";
import { observe } from "./observe.ts";

interface Oracle {
  readonly setup: string;
  readonly cases: readonly {
    readonly statement: string;
    readonly rewrite: boolean;
    readonly lock: string;
    readonly referencedLock: string | null;
    readonly scan: boolean;
  }[];
}

const file = new URL("../../../../shared/data/lint/oracle-pg15.json", import.meta.url);
const oracle = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Oracle) : null;
if (!oracle) console.log(`skipped: ${file.pathname} is not here`);

describe.skipIf(!oracle).each([12, 13, 14, 15, 16, 17, 18])("on PostgreSQL %i", (version) => {
  let cluster: TestCluster;
  let client: Client;
  let catalog: Catalog;

  beforeAll(async () => {
    cluster = await startCluster({ version });
    client = new Client({ connectionString: cluster.primary.url });
    await client.connect();
    await client.query(oracle?.setup ?? "");
    // gen_random_uuid() is built in from PostgreSQL 13.
    if (version === 12) await client.query("create extension pgcrypto");
    catalog = await toDatabase(client).withSession((session) => collectCatalog(session, "db_migrate"));
  });
  afterAll(async () => {
    await client.end();
    await cluster[Symbol.asyncDispose]();
  });

  for (const expected of oracle?.cases ?? []) {
    test(expected.statement, async () => {
      const predicted = await predict(expected.statement, catalog);
      expect({ rewrite: predicted.rewrite, scan: predicted.scan }, "the recorded verdict").toEqual({
        rewrite: expected.rewrite,
        scan: expected.scan,
      });
      // VACUUM cannot be watched in a transaction; its lock is documented.
      const lock = expected.statement.startsWith("vacuum") ? "AccessExclusive" : expected.lock;
      expect(predicted.locks["public.t"] ?? "-").toBe(lock);
      expect(predicted.locks["public.p"] ?? null).toBe(expected.referencedLock);
      const told = await findingsOf(expected.statement, catalog);
      if (expected.statement.startsWith("vacuum")) {
        expect(told).toContain("vacuum-full-cluster");
        return;
      }
      const lost = await namesLost(client, expected.statement);
      const real = await observe(client, expected.statement);
      const renamed = real.locks["public.t"] ?? "-";
      expect(renamed, "the running server").toBe(lock);
      expect(real.rewrites.includes("public.t"), "the running server's rewrite").toBe(predicted.rewrite);
      expect(real.scans.length > 0, "the running server's scan").toBe(predicted.scan);
      // Lint speaks where the server rewrites, reads all, builds an index under a lock, stops writes of a second table,
      // takes names or promises away, or hides rows; and is silent where it does none of it.
      const hides = expected.statement.includes("enable row level security");
      const building = real.builds.length > 0;
      const stops = real.locks["public.p"] !== undefined && /add column/.test(expected.statement);
      const harm = real.rewrites.length > 0 || real.scans.length > 0 || building || stops || lost > 0 || hides;
      expect(told.length > 0, `told ${told.join(", ")}; names lost ${lost}`).toBe(harm);
    });
  }
});

/** Rules that speak of the last statement. */
async function findingsOf(sql: string, catalog: Catalog): Promise<string[]> {
  const sections = readSections("0001_case.sql", sql);
  const { statements } = parseMigration(await loadParser(), sections.up, null, catalog.serverVersion, []);
  const migration = { id: "0001_case", statements, transactional: true, allowances: [] };
  const { findings } = lint([migration], catalog, { blocks: "critical", exempt: "plan" });
  return findings.flatMap(({ rule }) => rule ?? []);
}

/** How many names or promises an application may rely on are gone: tables, columns, keys, indexes, enum values. */
async function namesLost(client: Client, sql: string): Promise<number> {
  const read = async (): Promise<Set<string>> =>
    new Set((await client.query<{ name: string }>(namesSql)).rows.map(({ name }) => name));
  const before = await read();
  await client.query("begin");
  try {
    await client.query(sql);
    const after = await read();
    return [...before].filter((name) => !after.has(name)).length;
  } finally {
    await client.query("rollback");
  }
}

const namesSql = /* sql */ `
  select c.oid::regclass::text || ' ' || n.nspname as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname = 'public' and c.relkind in ('r', 'i', 'v')
  union all
  select n.nspname || '.' || c.relname || '.' || a.attname
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
   where n.nspname = 'public' and c.relkind in ('r', 'v') and a.attnum > 0 and not a.attisdropped
  union all
  select conname from pg_constraint where contype in ('p', 'u', 'x', 'f')
  union all
  select enumtypid::regtype::text || ' ' || enumlabel from pg_enum`;

async function predict(
  sql: string,
  catalog: Catalog,
): Promise<{ rewrite: boolean; scan: boolean; locks: Record<string, string> }> {
  const parser = await loadParser();
  const working = new WorkingCatalog(catalog);
  const statements = parser.parse(sql);
  for (const statement of statements.slice(0, -1)) replay(statement.node, working);
  const last = statements.at(-1);
  if (!last) throw new Error("no statement");
  const effects = predictEffects(last.node, working);
  return {
    rewrite: effects.rewrites.includes("public.t"),
    scan: effects.scans.length > 0,
    locks: Object.fromEntries(effects.locks.map(({ relation, mode }) => [relation, mode])),
  };
}
