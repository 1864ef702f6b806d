import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { startCluster, type TestCluster } from "@db/testkit";
import { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  applyMigrations,
  type ForeignToolName,
  migrationStatus,
  planBaseline,
  planImport,
  planMigrations,
  writeImport,
} from "../src/index.ts";
import { makeWorkspace } from "./workspace.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const first = "create table users (id int primary key);\n";
const second = "alter table users add column email text;\n";

interface ToolCase {
  readonly tool: ForeignToolName;
  readonly files: Readonly<Record<string, string>>;
  /** As the tool makes it, with its first migration recorded. */
  readonly history: string;
  readonly ids: readonly string[];
  readonly appliedAt: string | null;
  readonly hasDown?: boolean;
}

const time = "2024-01-02 03:04:05+00";
const iso = "2024-01-02T03:04:05.000Z";
const cases: readonly ToolCase[] = [
  {
    tool: "drizzle",
    files: {
      "meta/_journal.json": JSON.stringify({
        version: "7",
        dialect: "postgresql",
        entries: [
          { idx: 0, version: "7", when: Date.parse(time), tag: "0000_users", breakpoints: true },
          { idx: 1, version: "7", when: Date.parse(time) + 1000, tag: "0001_email", breakpoints: true },
        ],
      }),
      "0000_users.sql": first,
      "0001_email.sql": `${second}--> statement-breakpoint\nselect 1`,
    },
    history: `create schema drizzle; create table drizzle.__drizzle_migrations (id serial primary key, hash text not null,
      created_at bigint); insert into drizzle.__drizzle_migrations (hash, created_at) values ('${sha256(first)}', ${Date.parse(time)})`,
    ids: ["0000_users", "0001_email"],
    appliedAt: iso,
  },
  {
    tool: "drizzle",
    files: {
      "20240102030405_users/migration.sql": first,
      "20240102030405_users/snapshot.json": "{}",
      "20240102030406_email/migration.sql": second,
      "20240102030406_email/snapshot.json": "{}",
    },
    history: `create schema drizzle; create table drizzle.__drizzle_migrations (id serial primary key, hash text not null,
      created_at bigint, name text, applied_at timestamptz default now(), version int);
      insert into drizzle.__drizzle_migrations (hash, created_at, name)
      values ('${sha256(first)}', ${Date.parse(time)}, '20240102030405_users')`,
    ids: ["20240102030405_users", "20240102030406_email"],
    appliedAt: iso,
  },
  {
    tool: "prisma",
    files: {
      "migration_lock.toml": 'provider = "postgresql"\n',
      "20240102030405_users/migration.sql": first,
      "20240102030406_email/migration.sql": second,
    },
    history: `create table _prisma_migrations (id varchar(36) primary key, checksum varchar(64) not null,
      finished_at timestamptz, migration_name varchar(255) not null, logs text, rolled_back_at timestamptz,
      started_at timestamptz not null default now(), applied_steps_count integer not null default 0);
      insert into _prisma_migrations values ('1', '${sha256(first)}', '${time}', '20240102030405_users', null, null, '${time}', 1)`,
    ids: ["20240102030405_users", "20240102030406_email"],
    appliedAt: iso,
  },
  {
    tool: "flyway",
    files: {
      "V1_1__users.sql": first,
      "V1_10__email.sql": second,
      "R__view.sql": "create or replace view v as select 1 as one;",
      "U1_10__email.sql": "alter table users drop column email;",
    },
    history: `create table flyway_schema_history (installed_rank int primary key, version varchar(50), description varchar(200),
      type varchar(20), script varchar(1000), checksum int, installed_by varchar(100), installed_on timestamptz,
      execution_time int, success boolean);
      insert into flyway_schema_history values (1, '1.1', 'users', 'SQL', 'V1_1__users.sql',
        ${crc32(first.trim()) | 0}, 'x', '${time}', 1, true)`,
    ids: ["0001_users", "0002_email", "R__view"],
    appliedAt: iso,
  },
  {
    tool: "dbmate",
    files: {
      "20240102030405_users.sql": `-- migrate:up\n${first}\n-- migrate:down\ndrop table users;\n`,
      "20240102030406_email.sql": `-- migrate:up transaction:false\n${second}\n-- migrate:down\nalter table users drop column email;\n`,
    },
    history:
      "create table schema_migrations (version varchar primary key); insert into schema_migrations values ('20240102030405')",
    ids: ["20240102030405_users", "20240102030406_email"],
    appliedAt: null,
    hasDown: true,
  },
  {
    tool: "golang-migrate",
    files: {
      "000001_users.up.sql": first,
      "000001_users.down.sql": "drop table users;",
      "000002_email.up.sql": `BEGIN;\n${second}COMMIT;\n`,
      "000002_email.down.sql": "alter table users drop column email;",
    },
    history:
      "create table schema_migrations (version bigint primary key, dirty boolean not null); insert into schema_migrations values (1, false)",
    ids: ["000001_users", "000002_email"],
    appliedAt: null,
    hasDown: true,
  },
  {
    tool: "sqitch",
    files: {
      "sqitch.plan":
        "%syntax-version=1.0.0\n%project=app\n\nusers 2024-01-02T03:04:05Z A <a@b.c> # Users\n@v1 2024-01-02T03:04:05Z A <a@b.c> # tag\nemail [users] 2024-01-02T03:04:06Z A <a@b.c> # Email\n",
      "deploy/users.sql": `-- Deploy app:users to pg\n\nBEGIN;\n\n${first}\nCOMMIT;\n`,
      "revert/users.sql": "-- Revert app:users from pg\n\nBEGIN;\n\ndrop table users;\n\nCOMMIT;\n",
      "verify/users.sql": "-- Verify app:users on pg\n\nBEGIN;\n\nselect id from users where false;\n\nROLLBACK;\n",
      "deploy/email.sql": `BEGIN;\n${second}\nCOMMIT;\n`,
      "revert/email.sql": "BEGIN;\nalter table users drop column email;\nCOMMIT;\n",
      "verify/email.sql": "BEGIN;\nselect email from users where false;\nROLLBACK;\n",
    },
    history: `create schema sqitch; create table sqitch.changes (change_id text primary key, script_hash text, change text not null,
      project text not null, note text not null default '', committed_at timestamptz not null, committer_name text);
      insert into sqitch.changes values ('abc', 'def', 'users', 'app', '', '${time}', 'A')`,
    ids: ["0001_users", "0002_email"],
    appliedAt: iso,
    hasDown: true,
  },
  {
    tool: "node-pg-migrate",
    files: {
      "1704164645000_users.sql": `-- Up Migration\n${first}\n-- Down Migration\ndrop table users;\n`,
      "1704164646000_email.sql": `-- Up Migration\n${second}\n-- Down Migration\nalter table users drop column email;\n`,
    },
    history: `create table pgmigrations (id serial primary key, name varchar(255) not null, run_on timestamp not null);
      set timezone = 'UTC'; insert into pgmigrations (name, run_on) values ('1704164645000_users', '2024-01-02 03:04:05')`,
    ids: ["1704164645000_users", "1704164646000_email"],
    appliedAt: iso,
    hasDown: true,
  },
  {
    tool: "diesel",
    files: {
      "2024-01-02-030405_users/up.sql": first,
      "2024-01-02-030405_users/down.sql": "drop table users;",
      "2024-01-02-030406-0000_email/up.sql": second,
      "2024-01-02-030406-0000_email/down.sql": "alter table users drop column email;",
    },
    history: `create table __diesel_schema_migrations (version varchar(50) primary key, run_on timestamp not null default now());
      insert into __diesel_schema_migrations values ('20240102030405', '2024-01-02 03:04:05')`,
    ids: ["20240102030405_users", "202401020304060000_email"],
    appliedAt: iso,
    hasDown: true,
  },
];

let cluster: TestCluster<0>;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

async function createDatabase(sql: string): Promise<Pool & AsyncDisposable> {
  const { url } = await cluster.createDatabase();
  const pool = new Pool({ connectionString: url, max: 1 });
  await pool.query(sql);
  return Object.assign(pool, { [Symbol.asyncDispose]: () => pool.end() });
}

describe("another tool's folder and history", () => {
  test.each(cases)(
    "of $tool are imported, adopted and continued ($ids)",
    async ({ tool, files, history, ids, appliedAt, hasDown }) => {
      await using source = await makeWorkspace(files);
      await using target = await makeWorkspace();
      await using db = await createDatabase(`${first} insert into users values (1); ${history}`);
      const { directory } = target;
      const plan = await planImport({ source: source.directory, directory });
      expect(plan).toMatchObject({ tool, blocked: false });
      expect(plan.files.map(({ id }) => id)).toEqual(ids);
      await writeImport(plan);

      expect(await migrationStatus(db, { directory })).toMatchObject({
        applied: 1,
        pending: ids.length - 1,
        current: ids[0],
        migrations: [
          { id: ids[0], source: tool, appliedAt, hasDown: hasDown ?? false },
          {},
          ...ids.slice(2).map(() => ({})),
        ],
      });
      const planned = await planMigrations(db, { directory });
      expect(planned.findings.filter(({ rule }) => rule === null)).toEqual([]);
      expect(planned.adopt.map(({ id, source: from }) => [id, from])).toEqual([[ids[0], tool]]);
      expect(await applyMigrations(db, planned)).toMatchObject({ adopted: [ids[0]] });
      expect((await db.query("select id, email from users")).rows).toEqual([{ id: 1, email: null }]);

      // And what is new goes on from there.
      await target.write({ "999999999999999999_more.sql": "create table more ();" });
      await applyMigrations(db, await planMigrations(db, { directory }));
      expect(await migrationStatus(db, { directory })).toMatchObject({ pending: 0, findings: [] });
    },
  );

  test.each(cases)("of $tool run on an empty database as well ($ids)", async ({ files, ids }) => {
    await using source = await makeWorkspace(files);
    await using target = await makeWorkspace();
    await using db = await createDatabase("select");
    const { directory } = target;
    await writeImport(await planImport({ source: source.directory, directory }));
    const report = await applyMigrations(db, await planMigrations(db, { directory }));
    expect(report.applied.map(({ id }) => id)).toEqual(ids);
  });

  test.each([
    ...cases.map(({ tool, history }) => ({ tool, history })),
    {
      tool: "knex",
      history: `create table knex_migrations (id serial primary key, name varchar(255), batch int, migration_time timestamptz);
        create table knex_migrations_lock (index serial primary key, is_locked int);
        insert into knex_migrations (name, batch, migration_time) values ('20240102030405_users.js', 1, now())`,
    },
  ])("of $tool found beside a folder not imported from it is a finding of its own, with the ways out", async (one) => {
    const { tool, history } = one;
    await using target = await makeWorkspace({ "0001_users.sql": first, "0002_email.sql": second });
    const { directory } = target;
    await using db = await createDatabase(`${first} ${history}`);
    const plan = await planMigrations(db, { directory });
    expect(plan.blocked).toBe(true);
    const found = plan.findings.filter(({ id }) => id === "MIGRATE-FOREIGN-HISTORY");
    expect(found).toHaveLength(1);
    expect(found[0]?.title).toMatch(
      new RegExp(`^${tool} has migrated this database \\([a-z]+\\.\\w+\\), and this folder was not imported from it$`),
    );
    expect(found[0]?.hint).toContain("db migrate import");
    expect(found[0]?.hint).toContain("db migrate baseline");
    await expect(applyMigrations(db, plan)).rejects.toMatchObject({ code: "MIGRATE_REFUSED" });
    await applyMigrations(db, await planBaseline(db, { directory, to: "0001_users" }));
    expect((await planMigrations(db, { directory })).findings).toEqual([]);
  });

  test("half done by the other tool blocks until somebody has looked", async () => {
    await using source = await makeWorkspace(cases[2]?.files);
    await using target = await makeWorkspace();
    const { directory } = target;
    await writeImport(await planImport({ source: source.directory, directory }));
    await using db = await createDatabase(
      `${first} ${cases[2]?.history}; update _prisma_migrations set finished_at = null`,
    );
    expect((await planMigrations(db, { directory })).findings).toMatchObject([
      { id: "MIGRATE-FOREIGN-FAILED", migration: "20240102030405_users", blocks: true },
    ]);
  });

  test("names files changed since, rows without a file, and files that drizzle skips in silence", async () => {
    const [drizzle] = cases;
    await using source = await makeWorkspace(drizzle?.files);
    await using target = await makeWorkspace();
    const { directory } = target;
    await writeImport(await planImport({ source: source.directory, directory }));
    await using db = await createDatabase(
      `${first} ${second} ${drizzle?.history}; update drizzle.__drizzle_migrations set hash = 'other', created_at = created_at + 1000;
       insert into drizzle.__drizzle_migrations (hash, created_at) values ('gone', 1800000000000)`,
    );
    expect((await planMigrations(db, { directory })).findings.map(({ id, title }) => `${id} ${title}`)).toEqual([
      "MIGRATE-OUT-OF-ORDER 0000_users.sql is older than 0001_email, which is applied, so drizzle would skip it without a word",
      "MIGRATE-ADOPTED-CHANGED 0001_email.sql is not the text that drizzle applied",
      "MIGRATE-MISSING drizzle applied 1800000000000, which has no file here: the database is ahead of the folder",
    ]);
  });
});

describe("planImport", () => {
  test("keeps drizzle's statements apart, and takes a script's own transaction away", async () => {
    await using source = await makeWorkspace({
      "000001_a.up.sql": "-- why\nbegin;\ncreate table a ();\ncommit;\n",
      "000002_b.up.sql": "begin;\ncreate table b ();\ncommit;\nbegin;\nselect 1;\ncommit;\n",
      "000003_c.up.sql": "\\set x 1\nselect 1;\n",
      "000004_d.up.sql": "-- nothing\n",
    });
    await using target = await makeWorkspace();
    const plan = await planImport({ source: source.directory, directory: target.directory });
    expect(plan.files.map(({ content }) => content)[0]).toBe(
      '-- imported from golang-migrate: "1"\n-- migrate:up\n-- why\n\ncreate table a ();\n',
    );
    expect(plan.files[3]?.content).toContain("-- nothing\nselect;\n");
    expect(plan.findings.map(({ id, severity, file }) => [id, severity, file])).toEqual([
      ["IMPORT-SYNTAX", "critical", "000003_c.up.sql"],
      ["IMPORT-TRANSACTION", "critical", "000002_b.up.sql"],
      ["IMPORT-EMPTY", "info", "000004_d.up.sql"],
      ["IMPORT-TRANSACTION", "info", "000001_a.up.sql"],
    ]);
    await expect(writeImport(plan)).rejects.toMatchObject({ code: "MIGRATE_REFUSED" });
  });

  test("refuses a folder of no tool it knows, and a target that is in use", async () => {
    await using empty = await makeWorkspace({ "notes.txt": "" });
    await using used = await makeWorkspace({ "0001_a.sql": "select 1;" });
    await using source = await makeWorkspace(cases[2]?.files);
    const target = used.directory;
    await expect(planImport({ source: empty.directory, directory: target })).rejects.toThrow(
      "not the folder of a tool known here",
    );
    await expect(planImport({ source: source.directory, directory: target })).rejects.toThrow(
      "already holds migrations",
    );
    await expect(planImport({ source: join(empty.directory, "no"), directory: target })).rejects.toMatchObject({
      code: "MIGRATE_FOLDER",
    });
  });

  test("writes programs of node-pg-migrate down as SQL", async () => {
    const repository = join(import.meta.dirname, "../../../tooling/bench");
    await using source = await makeWorkspace({
      "1704164645000_users.mjs":
        "export const up = (pgm) => { pgm.createTable('users', { id: 'id', name: { type: 'text', notNull: true } }); };\nexport const down = (pgm) => pgm.dropTable('users');\n",
      "1704164646000_index.mjs":
        "export const up = (pgm) => { pgm.noTransaction(); pgm.createIndex('users', 'name', { concurrently: true }); };\n",
      "1704164647000_reads.mjs": "export const up = async (pgm) => { await pgm.db.query('select 1'); };\n",
    });
    await using target = await makeWorkspace();
    await source.link("node_modules", join(repository, "node_modules"));
    const plan = await planImport({ source: source.directory, directory: target.directory });
    expect(plan.findings).toMatchObject([{ id: "IMPORT-PROGRAM", file: "1704164647000_reads.mjs" }]);
    await writeImport(plan, { allowBlocked: true });
    expect(await readFile(join(target.directory, "1704164646000_index.sql"), "utf8")).toMatch(
      /transaction=false\nCREATE INDEX CONCURRENTLY/,
    );
    await using db = await createDatabase("select");
    const { directory } = target;
    await applyMigrations(db, await planMigrations(db, { directory, lintBlocks: "never" }));
    expect((await db.query("select name from users")).rows).toEqual([]);
  });

  test("goes on with an import that was cut short, and never over a file that is not its own", async () => {
    await using source = await makeWorkspace(cases[2]?.files);
    await using target = await makeWorkspace();
    const { directory } = target;
    const plan = await planImport({ source: source.directory, directory });
    const [written, missing] = plan.files;
    // As a kill between the two files leaves it, a draft of the second beside the first.
    await target.write({ [written?.file ?? ""]: written?.content ?? "", [`.${missing?.file}.part`]: "create tab" });
    const again = await planImport({ source: source.directory, directory });
    await writeImport(again);
    expect(await readFile(join(directory, missing?.file ?? ""), "utf8")).toBe(missing?.content);
    await target.write({ [written?.file ?? ""]: "-- edited\nselect 1;" });
    await expect(planImport({ source: source.directory, directory })).rejects.toThrow("already holds migrations");
    await expect(writeImport(plan)).rejects.toMatchObject({ code: "EEXIST" });
  });
});
