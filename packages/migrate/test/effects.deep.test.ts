import { existsSync, readFileSync } from "node:fs";
import { toDatabase } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Catalog, collectCatalog } from "../src/catalog.ts";
import { predictEffects } from "../src/effects.ts";
import { loadParser } from "../src/parser.ts";
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
      if (expected.statement.startsWith("vacuum")) return;
      const real = await observe(client, expected.statement);
      const renamed = real.locks["public.t"] ?? "-";
      expect(renamed, "the running server").toBe(lock);
      expect(real.rewrites.includes("public.t"), "the running server's rewrite").toBe(predicted.rewrite);
      expect(real.scans.length > 0, "the running server's scan").toBe(predicted.scan);
    });
  }
});

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
