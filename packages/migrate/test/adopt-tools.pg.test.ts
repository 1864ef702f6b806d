import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { startCluster, type TestCluster } from "@db/testkit";
import { resolveBinary } from "dbmate";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import knex from "knex";
import { runner } from "node-pg-migrate";
import { Pool } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  applyMigrations,
  type ForeignToolName,
  migrationStatus,
  planImport,
  planMigrations,
  writeImport,
} from "../src/index.ts";
import { makeWorkspace } from "./workspace.ts";

interface RealTool {
  readonly tool: ForeignToolName;
  /** Two migrations; the tool itself runs the first. */
  readonly first: Readonly<Record<string, string>>;
  readonly second: Readonly<Record<string, string>>;
  readonly ids: readonly [string, string];
  run(url: string, directory: string): Promise<unknown>;
}

const journal = (count: number): string =>
  JSON.stringify({
    version: "7",
    dialect: "postgresql",
    entries: ["0000_users", "0001_email"]
      .slice(0, count)
      .map((tag, idx) => ({ idx, version: "7", when: 1_700_000_000_000 + idx, tag, breakpoints: true })),
  });
const up = "create table users (id serial primary key, name text);";
const more = "alter table users add column email text;";
const execute = promisify(execFile);

const tools: readonly RealTool[] = [
  {
    tool: "drizzle",
    first: { "meta/_journal.json": journal(1), "0000_users.sql": up },
    second: { "meta/_journal.json": journal(2), "0001_email.sql": more },
    ids: ["0000_users", "0001_email"],
    async run(url, directory) {
      const pool = new Pool({ connectionString: url, max: 1 });
      await migrate(drizzle(pool), { migrationsFolder: directory });
      await pool.end();
    },
  },
  {
    tool: "dbmate",
    first: { "20240102030405_users.sql": `-- migrate:up\n${up}\n\n-- migrate:down\ndrop table users;\n` },
    second: { "20240102030406_email.sql": `-- migrate:up\n${more}\n\n-- migrate:down\n` },
    ids: ["20240102030405_users", "20240102030406_email"],
    async run(url, directory) {
      const at = new URL(url);
      at.searchParams.set("sslmode", "disable");
      await execute(resolveBinary(), ["--url", at.href, "--migrations-dir", directory, "--no-dump-schema", "migrate"]);
    },
  },
  {
    tool: "node-pg-migrate",
    first: {
      "1704164645000_users.js":
        "exports.up = (pgm) => { pgm.createTable('users', { id: 'id', name: 'text' }); };\nexports.down = false;\n",
    },
    second: {
      "1704164646000_email.sql": `-- Up Migration\n${more}\n-- Down Migration\nalter table users drop email;\n`,
    },
    ids: ["1704164645000_users", "1704164646000_email"],
    run: (databaseUrl, dir) =>
      runner({ databaseUrl, dir, direction: "up", migrationsTable: "pgmigrations", log: () => undefined }),
  },
  {
    tool: "knex",
    first: {
      "20240102030405_users.js":
        "exports.up = (knex) => knex.schema.createTable('users', (t) => { t.increments('id'); t.text('name').defaultTo(\"o'clock\"); });\n" +
        "exports.down = (knex) => knex.schema.dropTable('users');\n",
    },
    second: {
      "20240102030406_email.js":
        "exports.up = async (knex) => { await knex.raw('alter table users add column email text'); await knex('users').insert({ name: \"it's\" }); };\n" +
        "exports.down = (knex) => knex.schema.alterTable('users', (t) => t.dropColumn('email'));\n",
    },
    ids: ["20240102030405_users", "20240102030406_email"],
    async run(url, directory) {
      const instance = knex({ client: "pg", connection: url });
      await instance.migrate.latest({ directory });
      await instance.destroy();
    },
  },
];

function inFolder(files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([name, text]) => [`migrations/${name}`, text]));
}

let cluster: TestCluster<0>;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

test.each(tools)("takes over what $tool itself has run, and goes on", async (real) => {
  const { tool, first, second, ids } = real;
  await using project = await makeWorkspace(inFolder(first));
  const source = join(project.directory, "migrations");
  await using target = await makeWorkspace();
  await project.link("node_modules", join(import.meta.dirname, "../node_modules"));
  const { directory } = target;
  const { url } = await cluster.createDatabase();
  await real.run(url, source);
  await project.write(inFolder(second));
  const plan = await planImport({ source, directory });
  expect(plan).toMatchObject({ tool, findings: [] });
  await writeImport(plan);
  const db = new Pool({ connectionString: url, max: 1 });
  try {
    const planned = await planMigrations(db, { directory });
    expect(planned.findings).toEqual([]);
    expect(planned.adopt).toMatchObject([{ id: ids[0], source: tool }]);
    expect(await applyMigrations(db, planned)).toMatchObject({ adopted: [ids[0]], applied: [{ id: ids[1] }] });
    expect(await migrationStatus(db, { directory })).toMatchObject({ pending: 0, findings: [] });
    expect((await db.query("select count(email) as count from users")).rows).toEqual([{ count: "0" }]);
  } finally {
    await db.end();
  }
});
