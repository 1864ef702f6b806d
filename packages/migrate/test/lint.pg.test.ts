import { toDatabase } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Catalog, collectCatalog } from "../src/catalog.ts";
import type { FileProblem } from "../src/file-problem.ts";
import { lint, lintRules } from "../src/lint/lint.ts";
import { readSections } from "../src/migration-file.ts";
import { loadParser } from "../src/parser.ts";
import { parseMigration } from "../src/planned-migration.ts";
import { observe } from "./observe.ts";

/** What the server must be seen to do where a rule fires, and not where it is silent. */
type Harm =
  | "rewrite"
  | "scan"
  | "error"
  | "none"
  | { readonly lock: string; readonly on?: string }
  /** The table has fewer indexes than before. */
  | { readonly index: string }
  /** Its rows are hidden from a role with SELECT. */
  | { readonly hides: string }
  /** A row of the last table made is longer. */
  | { readonly rowBytesOver: number }
  /** The server's own notice. */
  | { readonly says: string };

interface RuleCase {
  readonly rule: string;
  readonly fires: string;
  readonly silent: string;
  readonly harm: Harm;
  /** Not the newest, where a rule speaks of one version only. */
  readonly serverVersion?: number;
}

const setup = `
  create table p (id bigint primary key);
  create table t (id int primary key, v varchar(50), i int, n int, checked int, p_id bigint, ts timestamp, j json);
  insert into t select g, 'a', g, 1, 1, null, now(), '{}' from generate_series(1, 500) g;
  create index t_i on t (i);
  create unique index t_n on t (id, i);
  create unique index t_id on t (id);
  alter table t add constraint checked_set check (checked is not null);
  alter table t add constraint late check (i > 0) not valid;
  create domain positive as int check (value > 0);
  create domain plain as int;
  alter table t add column g plain;
  create type mood as enum ('calm');
  create table feeling (m mood);
  create table seen (id int, v text, i int);
  create view shown as select id, v from seen;
  create table part (id int, at date not null) partition by range (at);
  create table part_2025 partition of part for values from ('2025-01-01') to ('2026-01-01');
  create table part_2026 (id int, at date not null);
  create table part_2027 (id int, at date not null, constraint fits check (at >= '2027-01-01' and at < '2028-01-01'));
  create materialized view mv as select 1 as one;
  create unique index mv_one on mv (one);
  analyze;
  -- The tables are small for speed and declared large for the rules.
  update pg_class set reltuples = 1000000 where relname in ('t', 'p', 'mv', 'part_2025', 'part_2026', 'part_2027');`;

const cases: readonly RuleCase[] = [
  {
    rule: "add-column-volatile-default",
    fires: "alter table t add column a uuid default gen_random_uuid()",
    silent: "alter table t add column a timestamptz default now()",
    harm: "rewrite",
  },
  {
    rule: "add-column-serial-identity",
    fires: "alter table t add column a bigint generated always as identity",
    silent: "alter table t add column a bigint",
    harm: "rewrite",
  },
  {
    rule: "add-column-generated-stored",
    fires: "alter table t add column a int generated always as (i * 2) stored",
    silent: "alter table t add column a int generated always as (i * 2) virtual",
    harm: "rewrite",
  },
  {
    rule: "add-column-constrained-domain",
    fires: "alter table t add column a positive",
    silent: "alter table t add column a plain",
    harm: "rewrite",
  },
  {
    rule: "add-column-inline-check",
    fires: "alter table t add column a int check (a > 0)",
    silent: "alter table t add column a int",
    harm: "scan",
  },
  {
    rule: "add-column-inline-fk",
    fires: "alter table t add column a bigint references p (id)",
    silent: "alter table t add column a bigint",
    harm: { lock: "ShareRowExclusive", on: "public.p" },
  },
  {
    rule: "add-column-inline-unique",
    fires: "alter table t add column a int unique",
    silent: "alter table t add column a int",
    harm: "none",
  },
  {
    rule: "add-required-column",
    fires: "alter table t add column a int not null",
    silent: "alter table t add column a int not null default 1",
    harm: "error",
  },
  {
    rule: "set-not-null",
    fires: "alter table t alter column n set not null",
    silent: "alter table t alter column checked set not null",
    harm: "scan",
  },
  {
    rule: "change-type-rewrite",
    fires: "alter table t alter column i type bigint",
    silent: "alter table t alter column v type varchar(80)",
    harm: "rewrite",
  },
  {
    rule: "add-check-valid",
    fires: "alter table t add constraint c check (n > 0)",
    silent: "alter table t add constraint c check (n > 0) not valid",
    harm: "scan",
  },
  {
    rule: "add-fk-valid",
    fires: "alter table t add constraint c foreign key (p_id) references p (id)",
    silent: "alter table t add constraint c foreign key (p_id) references p (id) not valid",
    harm: "scan",
  },
  {
    rule: "add-unique-constraint",
    fires: "alter table t add constraint c unique (id, n)",
    silent: "alter table t add constraint c unique using index t_n",
    harm: "none",
  },
  {
    rule: "add-primary-key",
    fires: "alter table t drop constraint t_pkey, add primary key (i)",
    silent: "alter table t drop constraint t_pkey, add primary key using index t_id",
    harm: "scan",
  },
  {
    rule: "add-exclusion",
    fires: "alter table t add constraint c exclude using btree (id with =)",
    silent: "alter table t add constraint c check (n > 0) not valid",
    harm: "none",
  },
  {
    rule: "validate-in-same-tx",
    fires: "alter table t add constraint c check (n > 0) not valid; alter table t validate constraint c",
    silent: "alter table t validate constraint late",
    harm: { lock: "AccessExclusive" },
  },
  {
    rule: "index-not-concurrent",
    fires: "create index on t (n)",
    silent: "create table fresh (n int); create index on fresh (n)",
    harm: { lock: "Share" },
  },
  {
    rule: "drop-index-not-concurrent",
    fires: "drop index t_i",
    silent: "comment on index t_i is 'kept'",
    harm: { lock: "AccessExclusive" },
  },
  {
    rule: "concurrent-index-unnamed",
    fires: "create index concurrently on t (n)",
    silent: "create index concurrently t_more on t (n)",
    harm: "none",
  },
  {
    rule: "duplicate-index",
    fires: "create index t_again on t (i)",
    silent: "create index t_other on t (i, n)",
    harm: "none",
  },
  {
    rule: "reindex-not-concurrent",
    fires: "reindex table t",
    silent: "analyze t",
    harm: { lock: "Share" },
  },
  { rule: "vacuum-full-cluster", fires: "cluster t using t_i", silent: "analyze t", harm: "rewrite" },
  {
    rule: "refresh-matview",
    fires: "refresh materialized view mv",
    silent: "refresh materialized view concurrently mv",
    harm: { lock: "AccessExclusive", on: "public.mv" },
  },
  {
    rule: "set-storage-rewrite",
    fires: "alter table t set unlogged",
    silent: "alter table t set (fillfactor = 80)",
    harm: "rewrite",
  },
  {
    rule: "drop-column",
    fires: "alter table t drop column n",
    silent: "alter table t alter column n drop default",
    harm: "none",
  },
  {
    rule: "drop-object",
    fires: "drop table feeling",
    silent: "create table fresh (); drop table fresh",
    harm: "none",
  },
  { rule: "truncate", fires: "truncate t", silent: "delete from t where i = 0", harm: "rewrite" },
  {
    rule: "rename",
    fires: "alter table t rename column n to m",
    silent: "comment on column t.n is 'm'",
    harm: { lock: "AccessExclusive" },
  },
  {
    rule: "set-schema",
    fires: "create schema s; alter table t set schema s",
    silent: "create schema s",
    harm: { lock: "AccessExclusive" },
  },
  {
    rule: "concurrently-in-tx",
    fires: "-- migrate:up transaction=true\ncreate index concurrently t_more on t (n)",
    silent: "-- migrate:up\ncreate index concurrently t_more on t (n)",
    harm: "none",
  },
  {
    rule: "enum-add-and-use",
    fires: "alter type mood add value 'glad'; insert into feeling values ('glad')",
    silent: "alter type mood add value 'glad'; insert into feeling values ('calm')",
    harm: "error",
  },
  {
    rule: "ddl-and-backfill",
    fires: "alter table t add column a int; update t set a = 1 where i > 0",
    silent: "alter table t add column a int",
    harm: "none",
  },
  {
    rule: "change-all-rows",
    fires: "update t set n = 2",
    silent: "update t set n = 2 where i = 1",
    harm: "none",
  },
  {
    rule: "missing-fk-index",
    fires: "alter table t add constraint c foreign key (p_id) references p (id) not valid",
    silent: "create table child (p_id bigint references p (id)); create index on child (p_id)",
    harm: "none",
  },
  {
    rule: "change-type-with-check",
    fires:
      "alter table t add constraint c check (v <> '') not valid; alter table t validate constraint c; alter table t alter column v type varchar(80)",
    silent: "alter table t alter column v type varchar(80)",
    harm: "scan",
  },
  {
    rule: "change-type-and-not-null",
    fires: "alter table t alter column v type varchar(80), alter column v set not null",
    silent: "alter table t alter column v type varchar(80)",
    harm: "scan",
  },
  {
    rule: "drop-constraint",
    fires: "alter table t drop constraint t_pkey",
    silent: "alter table t drop constraint late",
    harm: { index: "public.t" },
  },
  {
    rule: "drop-not-null",
    fires: "alter table t alter column id drop not null",
    silent: "alter table t alter column n set default 3",
    harm: "none",
  },
  {
    rule: "concurrent-index-corrupt",
    fires: "create index concurrently t_more on t (n)",
    silent: "create index t_more on t (n)",
    harm: "none",
    serverVersion: 140_002,
  },
  {
    rule: "index-too-wide",
    fires: "create index t_wide on t (id, i, n, checked)",
    silent: "create index t_wide on t (id, i) include (n, checked)",
    harm: "none",
  },
  {
    rule: "unique-may-fail",
    fires: "create unique index t_once on t (n)",
    silent: "create index t_often on t (n)",
    harm: "error",
  },
  {
    rule: "detach-not-concurrent",
    fires: "alter table part detach partition part_2025",
    silent: "alter table part detach partition part_2025 concurrently",
    harm: { lock: "AccessExclusive", on: "public.part" },
  },
  {
    rule: "attach-partition-scan",
    fires: "alter table part attach partition part_2026 for values from ('2026-01-01') to ('2027-01-01')",
    silent: "alter table part attach partition part_2027 for values from ('2027-01-01') to ('2028-01-01')",
    harm: "scan",
  },
  {
    rule: "lock-table",
    fires: "lock table t",
    silent: "create table fresh (); lock table fresh",
    harm: { lock: "AccessExclusive" },
  },
  {
    rule: "trigger-lock",
    fires: "alter table t disable trigger all",
    silent: "alter table t set (autovacuum_enabled = false)",
    harm: { lock: "ShareRowExclusive" },
  },
  {
    rule: "rls-without-policy",
    fires: "alter table t enable row level security",
    silent: "create policy mine on t using (true); alter table t enable row level security",
    harm: { hides: "t" },
  },
  {
    rule: "many-tables-locked",
    fires: "alter table t add column a int; alter table p add column a int",
    silent: "alter table t add column a int; alter table t add column b int",
    harm: { lock: "AccessExclusive", on: "public.p" },
  },
  {
    rule: "missing-lock-timeout",
    fires: "alter table t add column a int",
    silent: "set lock_timeout = '2s'; alter table t add column a int",
    harm: "none",
  },
  {
    rule: "view-breaking-replace",
    fires: "create or replace view shown as select v, id from seen",
    silent: "create or replace view shown as select id, v, i from seen",
    harm: "error",
  },
  {
    rule: "enum-position",
    fires: "alter type mood add value 'glad'",
    silent: "alter type mood add value 'glad' before 'calm'",
    harm: "none",
  },
  {
    rule: "domain-check",
    fires: "alter domain plain add constraint low check (value < 9)",
    silent: "alter domain plain add constraint low check (value < 9) not valid",
    harm: { lock: "Share" },
  },
  {
    rule: "create-domain-check",
    fires: "create domain small as int check (value < 9); alter table t add column a small",
    silent: "create domain small as int; alter table t add column a small",
    harm: "rewrite",
  },
  {
    rule: "opaque-sql",
    fires: "do 'begin alter table t alter column i type bigint; end'",
    silent: "select 1",
    harm: "rewrite",
  },
  {
    rule: "not-idempotent",
    fires: "create index concurrently t_more on t (n)",
    silent: "create index concurrently if not exists t_more on t (n)",
    harm: "none",
  },
  {
    rule: "unbatched-change",
    fires: "update t set n = 2 where n = 1",
    silent: "update feeling set m = 'calm' where m is null",
    harm: "none",
  },
  {
    rule: "create-table-again",
    fires: "drop table feeling; create table feeling (m mood)",
    silent: "create table if not exists feeling (m mood)",
    harm: { lock: "AccessExclusive", on: "public.feeling" },
  },
  {
    rule: "duplicate-column",
    fires: "update t set n = 1, n = 2 where id = 1",
    silent: "update t set n = 1, i = 2 where id = 1",
    harm: "error",
  },
  ...advice("prefer-bigint", "create table fresh (a int)", "create table fresh (a bigint)"),
  ...advice("prefer-text", "create table fresh (a varchar(10))", "create table fresh (a text)"),
  ...advice("prefer-timestamptz", "create table fresh (a timestamp)", "create table fresh (a timestamptz)"),
  ...advice("prefer-jsonb", "create table fresh (a json)", "create table fresh (a jsonb)"),
  ...advice("avoid-char", "create table fresh (a char(5))", "create table fresh (a text)"),
  ...advice(
    "prefer-identity",
    "create table fresh (a bigserial)",
    "create table fresh (a bigint generated always as identity)",
  ),
  ...advice("create-table-no-key", "create table fresh (a bigint)", "create table fresh (a bigint primary key)"),
  ...advice(
    "unnamed-constraint",
    "alter table t add check (n > 0) not valid",
    "alter table t add constraint c check (n > 0) not valid",
  ),
  ...advice("create-extension", "create extension pg_trgm", "select 1"),
  ...advice("unqualified-name", "create table fresh (a bigint)", "create table public.fresh (a bigint)"),
  ...advice("naming", 'create table "Fresh" (a bigint)', "create table fresh (a bigint)"),
  {
    rule: "column-alignment",
    fires: "create table fresh (a boolean, b bigint, c boolean, d bigint, e boolean, f bigint)",
    silent: "create table fresh (b bigint, d bigint, f bigint, a boolean, c boolean, e boolean)",
    harm: { rowBytesOver: 53 },
  },
  {
    rule: "identifier-too-long",
    fires: `create table fresh_${"x".repeat(60)} (a int)`,
    silent: `create table fresh_${"x".repeat(57)} (a int)`,
    harm: { says: "will be truncated" },
  },
];

function advice(rule: string, fires: string, silent: string): RuleCase[] {
  return [{ rule, fires, silent, harm: "none" }];
}

let cluster: TestCluster;
let client: Client;
let catalog: Catalog;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
  client = await cluster.connect();
  await client.query(`${setup} create role lint_reader`);
  catalog = await toDatabase(client).withSession((session) => collectCatalog(session, "db_migrate"));
});
afterAll(async () => {
  await client.end();
  await cluster.stop();
});

async function rulesFiring(text: string, serverVersion = 180_000): Promise<string[]> {
  const sections = readSections("0001_case.sql", text);
  const problems: FileProblem[] = [...sections.problems];
  const { statements, transactional } = parseMigration(await loadParser(), sections.up, null, 180_000, problems);
  expect(problems).toEqual([]);
  const migration = { id: "0001_case", statements, transactional, allowances: sections.allowances };
  const settings = { blocks: "critical", exempt: "plan", advice: true } as const;
  const { findings } = lint([migration], { ...catalog, serverVersion }, settings);
  return findings.flatMap(({ rule }) => rule ?? []);
}

/** Without matters of taste. */
async function costsFiring(text: string): Promise<string[]> {
  return (await rulesFiring(text)).filter((rule) => !lintRules.get(rule)?.advice);
}

async function answerAfter(sql: string, question: string): Promise<unknown> {
  await client.query("begin");
  try {
    await client.query(sql);
    const { rows } = await client.query<{ answer: unknown }>(question);
    return rows[0]?.answer;
  } finally {
    await client.query("rollback");
  }
}

async function noticesOf(sql: string): Promise<string> {
  const said: string[] = [];
  const listen = ({ message = "" }: { message?: string | undefined }): void => void said.push(message);
  client.on("notice", listen);
  await answerAfter(sql, "select 1 as answer");
  client.off("notice", listen);
  return said.join("\n");
}

async function isHarmed(sql: string, harm: Exclude<Harm, "none">): Promise<boolean> {
  if (harm === "error") {
    const outcome = await observe(client, sql).catch(() => null);
    return outcome === null;
  }
  if (typeof harm === "object" && "index" in harm) {
    const count = `select count(*)::int as answer from pg_index where indrelid = '${harm.index}'::regclass`;
    return Number(await answerAfter(sql, count)) < Number(await answerAfter("select 1", count));
  }
  if (typeof harm === "object" && "hides" in harm) {
    const asked = `grant select on ${harm.hides} to lint_reader; set local role lint_reader`;
    return (await answerAfter(`${sql}; ${asked}`, `select count(*)::int as answer from ${harm.hides}`)) === 0;
  }
  if (typeof harm === "object" && "rowBytesOver" in harm) {
    const made = `${sql}; insert into fresh (a, b, c, d, e, f) values (true, 1, true, 1, true, 1)`;
    const bytes = await answerAfter(made, "select pg_column_size(fresh.*) as answer from fresh");
    return Number(bytes) > harm.rowBytesOver;
  }
  if (typeof harm === "object" && "says" in harm) return (await noticesOf(sql)).includes(harm.says);
  const seen = await observe(client, sql);
  if (harm === "rewrite") return seen.rewrites.length > 0;
  if (harm === "scan") return seen.scans.length > 0;
  return seen.locks[harm.on ?? "public.t"] === harm.lock;
}

describe("lint rules", () => {
  test("every rule has a case", () => {
    expect(cases.map(({ rule }) => rule).sort()).toEqual([...lintRules.keys()].sort());
  });

  for (const { rule, fires, silent, harm, serverVersion } of cases) {
    test(`${rule} fires where the server shows the harm, and is silent where it does not`, async () => {
      expect(await rulesFiring(fires, serverVersion)).toContain(rule);
      expect(await rulesFiring(silent, serverVersion)).not.toContain(rule);
      if (harm === "none") return;
      expect(await isHarmed(fires, harm), "harm where it fires").toBe(true);
      const isConcurrent = silent.includes("concurrently");
      if (!isConcurrent) expect(await isHarmed(silent, harm), "harm where it is silent").toBe(false);
    });
  }

  test("a table made by the plan is exempt from every cost", async () => {
    const made = "create table fresh (id int, p_id bigint);";
    expect(
      await costsFiring(
        `${made} alter table fresh alter column id type bigint; create index on fresh (id);
         alter table fresh alter column id set not null; alter table fresh add primary key (id); drop table fresh;`,
      ),
    ).toEqual([]);
  });

  test("a rename or a rewritten type earlier in the plan is seen by later statements", async () => {
    expect(
      await costsFiring(
        "alter table t rename to t2; alter table t2 alter column v type varchar(60); alter table t2 alter column v type varchar(55);",
      ),
    ).toEqual(["rename", "change-type-rewrite"]);
  });

  test("the four steps to NOT NULL are silent but for the shared transaction", async () => {
    const add = "alter table t add constraint nn check (n is not null) not valid;";
    const rest =
      "alter table t validate constraint nn; alter table t alter column n set not null; alter table t drop constraint nn;";
    expect(await costsFiring(`${add} ${rest}`)).toEqual(["validate-in-same-tx"]);
    expect(await costsFiring(`-- migrate:up transaction=false\n${add} ${rest}`)).toEqual([]);
  });

  test("an allowance with a reason lets one statement pass, and one that does nothing is reported", async () => {
    const allow = '-- migrate:allow drop-column reason="unused since 2.4"\n';
    expect(await costsFiring(`-- migrate:up\n${allow}alter table t drop column n;`)).toEqual([]);
    expect(
      await costsFiring(`-- migrate:up\n${allow}alter table t drop column n;\nalter table t drop column i;`),
    ).toEqual(["drop-column"]);
    expect(
      await costsFiring(`${allow}-- migrate:up\nalter table t drop column n;\nalter table t drop column i;`),
    ).toEqual([]);
    expect(await costsFiring(`-- migrate:up\n${allow}alter table t add column a int;`)).toEqual(["unused-allow"]);
  });

  test("what costs little on a small table is only information", async () => {
    const small = { ...catalog, tables: catalog.tables.map((table) => ({ ...table, rows: 500 })) };
    const { up } = readSections("0001_case.sql", "alter table t alter column i type bigint");
    const { statements } = parseMigration(await loadParser(), up, null, 180_000, []);
    const migration = { id: "0001_case", statements, transactional: true, allowances: [] };
    const severities = (facts: Catalog): unknown[] =>
      lint([migration], facts, { blocks: "critical", exempt: "plan" }).findings.map(({ severity, blocks }) => [
        severity,
        blocks,
      ]);
    expect(severities(catalog)).toEqual([["critical", true]]);
    expect(severities(small)).toEqual([["info", false]]);
  });

  test("a suggested rewrite runs on the server", async () => {
    const sections = readSections("0001_case.sql", "alter table t alter column n set not null");
    const { statements } = parseMigration(await loadParser(), sections.up, null, 180_000, []);
    const migration = { id: "0001_case", statements, transactional: true, allowances: [] };
    const [finding] = lint([migration], catalog, { blocks: "critical", exempt: "plan" }).findings;
    await expect(observe(client, finding?.safer ?? "select 1/0")).resolves.toMatchObject({ rewrites: [] });
  });
});
