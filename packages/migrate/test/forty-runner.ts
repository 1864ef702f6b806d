// Run as a program of its own: applies a folder, tells when the n-th statement was sent, and goes no further.
import { writeSync } from "node:fs";
import type { Database, Queryable } from "@db/core";
import { Client } from "pg";
import { applyMigrations, planMigrations } from "../src/index.ts";

const [url = "", directory = "", at = "", victim = ""] = process.argv.slice(2);
const client = new Client({ connectionString: url });
// The server was killed: there is nothing left to do.
client.on("error", () => process.exit(1));
await client.connect();
const marked = new RegExp(`insert into marks values \\(${at}\\)|marks_${at} on`);
const session: Queryable = {
  query: (text, values) => {
    const answer = client.query(text, values as unknown[]);
    if (!marked.test(text)) return answer as never;
    writeSync(1, "sent\n");
    if (victim === "runner") process.kill(process.pid, "SIGKILL");
    return answer.then(() => new Promise(() => undefined)) as never;
  },
};
const db: Database = {
  query: (text, values) => session.query(text, values),
  withSession: (use) => use(session),
  withTransaction: () => Promise.reject(new Error("not used")),
};
await applyMigrations(db, await planMigrations(db, { directory }));
await client.end();
