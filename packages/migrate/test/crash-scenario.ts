// Run as a program of its own: does one job on a database, and right after its n-th query kills itself with SIGKILL, or
// says so and stands still until its server is killed.
import { writeSync } from "node:fs";
import type { Database, DatabaseLike, Queryable } from "@db/core";
import { Client } from "pg";
import {
  applyMigrations,
  applyRepair,
  migrateTenants,
  type OnlinePhase,
  planBaseline,
  planCancel,
  planMigrations,
  planRepair,
  planRollback,
} from "../src/index.ts";

const [job = "", url = "", directory = "", killAt = "0", victim = "runner"] = process.argv.slice(2);
let sent = 0;

/** Counts the queries of all sessions together. */
async function connect(): Promise<{ readonly db: Database; end(): Promise<void> }> {
  const client = new Client({ connectionString: url });
  client.on("error", () => process.exit(1));
  await client.connect();
  const session: Queryable = {
    query: (text, values) => {
      const answer = client.query(text, values as unknown[]);
      if (++sent !== Number(killAt)) return answer as never;
      if (victim === "runner") process.kill(process.pid, "SIGKILL");
      writeSync(1, "sent\n");
      return answer.then(() => new Promise(() => undefined)) as never;
    },
  };
  const db: Database = {
    query: (text, values) => session.query(text, values),
    withSession: (use) => use(session),
    withTransaction: () => Promise.reject(new Error("not used")),
  };
  return { db, end: () => client.end() };
}

async function apply(db: DatabaseLike, phase?: OnlinePhase): Promise<void> {
  await applyMigrations(db, await planMigrations(db, { directory, ...(phase === undefined ? {} : { phase }) }));
}

const jobs: Readonly<Record<string, (db: DatabaseLike) => Promise<unknown>>> = {
  up: (db) => apply(db),
  expand: (db) => apply(db, "expand"),
  backfill: (db) => apply(db, "backfill"),
  contract: (db) => apply(db, "contract"),
  cancel: async (db) => applyMigrations(db, await planCancel(db, { directory })),
  down: async (db) => applyMigrations(db, await planRollback(db, { directory, steps: 2, allowDataLoss: true })),
  baseline: async (db) => applyMigrations(db, await planBaseline(db, { directory, to: "0002" })),
  repair: async (db) => {
    const plan = await planRepair(db, { directory });
    return applyRepair(db, plan, { chosen: plan.actions.map(({ id }) => id) });
  },
  tenants: () =>
    migrateTenants({
      directory,
      parallel: 2,
      tenants: ["a", "b", "c"].map((name) => ({
        name,
        placeholders: { tenant: `tenant_${name}` },
        historySchema: `history_${name}`,
        connect,
      })),
    }),
};

const connection = await connect();
await jobs[job]?.(connection.db);
await connection.end();
console.log(JSON.stringify({ sent }));
