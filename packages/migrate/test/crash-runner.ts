// Run as a program of its own: applies a folder and kills itself with SIGKILL right after sending its n-th query.
import type { Database, Queryable } from "@db/core";
import { Client } from "pg";
import { applyMigrations, planMigrations } from "../src/index.ts";

const [url = "", directory = "", killAt = "0"] = process.argv.slice(2);
const client = new Client({ connectionString: url });
await client.connect();
let sent = 0;
const session: Queryable = {
  query: (text, values) => {
    const answer = client.query(text, values as unknown[]);
    if (++sent === Number(killAt)) process.kill(process.pid, "SIGKILL");
    return answer as never;
  },
};
const db: Database = {
  query: (text, values) => session.query(text, values),
  withSession: (use) => use(session),
  withTransaction: () => Promise.reject(new Error("not used")),
};
const plan = await planMigrations(db, { directory });
const report = await applyMigrations(db, plan);
console.log(JSON.stringify({ sent, applied: report.applied.map(({ id }) => id) }));
await client.end();
