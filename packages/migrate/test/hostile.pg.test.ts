import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  applyMigrations,
  detectDrift,
  type MigrationFilesError,
  migrationStatus,
  planMigrations,
  planRollback,
} from "../src/index.ts";
import { freshPoolOn } from "./fresh-pool.ts";
import { makeWorkspace } from "./workspace.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

const freshPool = (max = 1) => freshPoolOn(cluster, max);

const sessionSql = `select current_user::text as role, session_user::text as who, current_setting('search_path') as path,
  current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
  current_setting('default_transaction_read_only') as "readOnly", coalesce(current_setting('app.tenant', true), '') as tenant`;

describe("a migration that changes its session", () => {
  test.for<[string, string]>([
    ["its role, to its end", "set role visitor; select 1"],
    ["its role, for the transaction", "set local role visitor; select 1"],
    ["its role, by a function", "select set_config('role', 'visitor', true)"],
    ["its role, in a block", "do $$ begin set local role visitor; end $$"],
    ["who it is", "set local session authorization visitor; select 1"],
    ["the search path, to where another history is", "set search_path = trap, pg_catalog; select 1"],
    ["the search path, for the transaction", "set local search_path = ''; select 1"],
    ["the search path, as pg_dump does", "select pg_catalog.set_config('search_path', '', false)"],
    [
      "time-outs and a setting of the application",
      "set statement_timeout = '7s'; set lock_timeout = '1s'; set app.tenant = 'x'",
    ],
    ["time-outs for the transaction", "set local statement_timeout = '2s'; set local lock_timeout = '1ms'"],
    ["the isolation of its transaction", "set transaction isolation level serializable; select 1"],
    [
      "the isolation of its transaction, and a time-out",
      "set transaction isolation level serializable; set statement_timeout = '9s'",
    ],
    [
      "the characteristics of its session",
      "set session characteristics as transaction isolation level repeatable read",
    ],
    ["its triggers, as a restore does", "set session_replication_role = replica; select 1"],
  ])("%s: is recorded in its history, and leaves the session as it was", async ([, sql], { task }) => {
    await using pool = await freshPool();
    await pool.query(`do $$ begin create role visitor; exception when duplicate_object then end $$;
      create schema trap; create table trap.history (a int); create table trap.history_statements (a int);
      create table public.history (a int);
      create function trap.clock_timestamp() returns timestamptz language sql as $f$ select timestamptz '1970-01-01' $f$`);
    await using files = await makeWorkspace({
      "0001_before.sql": "create table public.a ();",
      "0002_changes.sql": `${sql};`,
      "0003_after.sql": "create table public.b ();",
    });
    const { directory } = files;
    const before = (await pool.query(sessionSql)).rows;
    const plan = await planMigrations(pool, { directory });
    await applyMigrations(pool, plan, { execute: "rollback" });
    expect((await pool.query(sessionSql)).rows, "after the rehearsal").toEqual(before);
    await applyMigrations(pool, plan);
    expect((await pool.query(sessionSql)).rows, task.name).toEqual(before);
    expect((await migrationStatus(pool, { directory })).migrations.map(({ state }) => state)).toEqual(
      Array.from({ length: 3 }, () => "applied"),
    );
    const trapped = await pool.query(
      "select count(*)::int as n from db_migrate.history where finished_at < '2000-01-01'",
    );
    expect(trapped.rows).toEqual([{ n: 0 }]);
    const owners = await pool.query(
      "select tableowner::text as owner from pg_tables where schemaname = 'public' and tablename in ('a', 'b')",
    );
    expect(owners.rows).toEqual([{ owner: "postgres" }, { owner: "postgres" }]);
  });

  test.for<[string, string, RegExp]>([
    ["ends the transaction", "create table a (); commit", /begin or end a transaction/],
    ["begins one", "begin; create table a ()", /begin or end a transaction/],
    ["prepares one", "prepare transaction 'x'", /begin or end a transaction/],
    ["discards all", "discard all", /lets go of the migration lock/],
    ["resets all", "reset all", /takes away the time-outs/],
    ["unlocks all", "select pg_advisory_unlock_all()", /lets go of the migration lock/],
    ["makes itself read-only", "set transaction read only; select 1", /read-only transaction/],
    ["makes itself read-only by setting", "set transaction_read_only = on; select 1", /read-only transaction/],
    ["copies from the client", "copy a from stdin", /COPY from or to the client/],
    ["uses a psql command", "\\set x 1\nselect 1", /syntax error/],
    [
      "changes role between steps",
      "create index concurrently i on a (b); set role visitor",
      /must not change its role/,
    ],
  ])("%s: is refused with its place before anything runs", async ([, sql, message]) => {
    await using pool = await freshPool();
    await using files = await makeWorkspace({ "0001_bad.sql": `create table z ();\n${sql};` });
    const error = (await planMigrations(pool, { directory: files.directory }).catch(
      (thrown: unknown) => thrown,
    )) as MigrationFilesError;
    expect(error).toMatchObject({ code: "MIGRATE_FILES" });
    expect(error.problems[0]).toMatchObject({
      file: "0001_bad.sql",
      line: 2,
      message: expect.stringMatching(message) as string,
    });
    expect(error.problems.every(({ hint }) => hint.length > 10)).toBe(true);
  });
});

describe("a file that is not what it looks like", () => {
  const good = "-- migrate:up\ncreate table a ();\n-- migrate:down\ndrop table a;\n";

  test("with a byte order mark, CRLF, one long line, dollar quotes and nested comments runs as it stands", async () => {
    await using pool = await freshPool();
    const two = "-- migrate:up\ncreate table a (\n  id int\n);\n-- migrate:down\ndrop table a;\n";
    const filler = "/* outer /* inner ; */ $x$ ' */".repeat(35_000);
    await using files = await makeWorkspace({
      "0001_bom.sql": `\uFEFF${two.replaceAll("\n", "\r\n")}`,
      "0002_line.sql": `${filler} create table long_line (); ${filler} insert into made values ($a$ ; $b$ ' -- $a$);`,
    });
    await pool.query("create table made (t text)");
    const { directory } = files;
    await applyMigrations(pool, await planMigrations(pool, { directory }));
    expect((await pool.query("select t from made")).rows).toEqual([{ t: " ; $b$ ' -- " }]);
    await files.write({ "0001_bom.sql": two });
    expect((await migrationStatus(pool, { directory })).findings).toEqual([]);
  });

  test.for<[string, string | Uint8Array, object]>([
    [
      "a zero byte, at which the parser would stop reading",
      "create table a ();\nselect 1;\0 drop table a;",
      { code: "MIGRATE-ENCODING", line: 2, column: 10, message: "the file holds a zero byte" },
    ],
    [
      "Latin-1",
      Buffer.from("create table a ();\n-- für alle\n", "latin1"),
      { code: "MIGRATE-ENCODING", line: 2, column: 5, message: "the file is not valid UTF-8" },
    ],
    [
      "UTF-16",
      Buffer.from("\uFEFFcreate table a ();", "utf16le"),
      { code: "MIGRATE-ENCODING", message: "the file is UTF-16" },
    ],
    [
      "carriage returns alone, in which directives are not seen",
      good.replaceAll("\n", "\r"),
      { code: "MIGRATE-ENCODING", line: 1, column: 14 },
    ],
    [
      "a directive in capitals",
      good.replace("migrate:down", "MIGRATE:DOWN"),
      { code: "MIGRATE-DIRECTIVE", line: 3, message: 'a directive begins with "migrate:", not "MIGRATE:"' },
    ],
    ["a directive with a blank", good.replace("migrate:down", "migrate :down"), { code: "MIGRATE-DIRECTIVE", line: 3 }],
    [
      "a directive without its colon",
      good.replace("migrate:down", "migrate down"),
      { code: "MIGRATE-DIRECTIVE", line: 3, message: 'a directive has a colon: "migrate:down"' },
    ],
    [
      "the marks of goose",
      "-- +goose Up\ncreate table a ();\n-- +goose Down\ndrop table a;\n",
      { code: "MIGRATE-DIRECTIVE", line: 3, message: expect.stringContaining("section to undo for goose") as string },
    ],
    [
      "the marks of sql-migrate",
      "-- +migrate Up\ncreate table a ();\n-- +migrate Down\ndrop table a;\n",
      { code: "MIGRATE-DIRECTIVE", line: 3, message: expect.stringContaining("for sql-migrate") as string },
    ],
    [
      "the marks of node-pg-migrate",
      "-- Up Migration\ncreate table a ();\n-- Down Migration\ndrop table a;\n",
      { code: "MIGRATE-DIRECTIVE", line: 3, message: expect.stringContaining("for node-pg-migrate") as string },
    ],
  ])("with %s is refused", async ([, content, expected]) => {
    await using pool = await freshPool();
    await using files = await makeWorkspace({ "0001_a.sql": content });
    const error = (await planMigrations(pool, { directory: files.directory }).catch(
      (thrown: unknown) => thrown,
    )) as MigrationFilesError;
    expect(error.problems[0]).toMatchObject({ file: "0001_a.sql", ...expected });
  });
});

test("names that need quotes are taken as they are, in files, the history and the schema", async () => {
  await using pool = await freshPool(2);
  const odd = `Uber"schema's`;
  await pool.query(`create schema "MixedCase"; create schema "${odd.replaceAll('"', '""')}"`);
  await using files = await makeWorkspace({
    '0001_it\'s a "name".sql': `-- migrate:up\ncreate table "MixedCase"."Select" ("Order" int, "a'b" text);\n-- migrate:down\ndrop table "MixedCase"."Select";`,
    "0002_ümläut – 名.sql": `-- migrate:up\ncreate index concurrently "Idx 1" on "MixedCase"."Select" ("Order");\n-- migrate:down\ndrop index concurrently "MixedCase"."Idx 1";`,
    "0003_view.sql": `-- migrate:up\ncreate view "MixedCase"."V" as select "Order" from "MixedCase"."Select";\n-- migrate:down\ndrop view "MixedCase"."V";`,
  });
  const options = { directory: files.directory, schema: odd, table: "My History" };
  await applyMigrations(pool, await planMigrations(pool, options));
  const status = await migrationStatus(pool, options);
  expect(status).toMatchObject({ applied: 3, pending: 0, findings: [] });
  expect((await detectDrift(pool, options)).drifted).toBe(false);
  await pool.query(`alter table "MixedCase"."Select" add "Drift" int`);
  expect((await detectDrift(pool, options)).differences.map(({ object }) => object)).toEqual([
    `column MixedCase.Select.Drift`,
  ]);
  await pool.query(`alter table "MixedCase"."Select" drop "Drift"`);
  await pool.query(`update pg_index set indisvalid = false where indexrelid = '"MixedCase"."Idx 1"'::regclass`);
  await applyMigrations(pool, await planRollback(pool, { ...options, steps: 3, allowDataLoss: true }));
  expect((await migrationStatus(pool, options)).applied).toBe(0);
  expect((await pool.query("select to_regclass('db_migrate.history') as t")).rows).toEqual([{ t: null }]);
});
