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
type Harm = "rewrite" | "scan" | "error" | { readonly lock: string; readonly on?: string } | "none";

interface RuleCase {
  readonly rule: string;
  readonly fires: string;
  readonly silent: string;
  readonly harm: Harm;
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
  create type mood as enum ('calm');
  create table feeling (m mood);
  create materialized view mv as select 1 as one;
  create unique index mv_one on mv (one);
  analyze;
  -- The tables are small for speed and declared large for the rules.
  update pg_class set reltuples = 1000000 where relname in ('t', 'p', 'mv');`;

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
    silent: "alter index t_i rename to t_j",
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
];

let cluster: TestCluster;
let client: Client;
let catalog: Catalog;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
  client = await cluster.connect();
  await client.query(setup);
  catalog = await toDatabase(client).withSession((session) => collectCatalog(session, "db_migrate"));
});
afterAll(async () => {
  await client.end();
  await cluster.stop();
});

async function rulesFiring(text: string): Promise<string[]> {
  const sections = readSections("0001_case.sql", text);
  const problems: FileProblem[] = [...sections.problems];
  const { statements, transactional } = parseMigration(await loadParser(), sections.up, null, 180_000, problems);
  expect(problems).toEqual([]);
  const migration = { id: "0001_case", statements, transactional, allowances: sections.allowances };
  const { findings } = lint([migration], catalog, { blocks: "critical", exempt: "plan" });
  return findings.flatMap(({ rule }) => rule ?? []);
}

async function isHarmed(sql: string, harm: Exclude<Harm, "none">): Promise<boolean> {
  if (harm === "error") {
    const outcome = await observe(client, sql).catch(() => null);
    return outcome === null;
  }
  const seen = await observe(client, sql);
  if (harm === "rewrite") return seen.rewrites.length > 0;
  if (harm === "scan") return seen.scans.length > 0;
  return seen.locks[harm.on ?? "public.t"] === harm.lock;
}

describe("lint rules", () => {
  test("every rule has a case", () => {
    expect(cases.map(({ rule }) => rule).sort()).toEqual([...lintRules.keys()].sort());
  });

  for (const { rule, fires, silent, harm } of cases) {
    test(`${rule} fires where the server shows the harm, and is silent where it does not`, async () => {
      expect(await rulesFiring(fires)).toContain(rule);
      expect(await rulesFiring(silent)).not.toContain(rule);
      if (harm === "none") return;
      expect(await isHarmed(fires, harm), "harm where it fires").toBe(true);
      const isConcurrent = silent.includes("concurrently");
      if (!isConcurrent) expect(await isHarmed(silent, harm), "harm where it is silent").toBe(false);
    });
  }

  test("a table made by the plan is exempt from every cost", async () => {
    const made = "create table fresh (id int, p_id bigint);";
    expect(
      await rulesFiring(
        `${made} alter table fresh alter column id type bigint; create index on fresh (id);
         alter table fresh alter column id set not null; alter table fresh add primary key (id); drop table fresh;`,
      ),
    ).toEqual([]);
  });

  test("a rename or a rewritten type earlier in the plan is seen by later statements", async () => {
    expect(
      await rulesFiring(
        "alter table t rename to t2; alter table t2 alter column v type varchar(60); alter table t2 alter column v type varchar(55);",
      ),
    ).toEqual(["rename", "change-type-rewrite"]);
  });

  test("the four steps to NOT NULL are silent but for the shared transaction", async () => {
    const add = "alter table t add constraint nn check (n is not null) not valid;";
    const rest =
      "alter table t validate constraint nn; alter table t alter column n set not null; alter table t drop constraint nn;";
    expect(await rulesFiring(`${add} ${rest}`)).toEqual(["validate-in-same-tx"]);
    expect(await rulesFiring(`-- migrate:up transaction=false\n${add} ${rest}`)).toEqual([]);
  });

  test("an allowance with a reason lets one statement pass, and one that does nothing is reported", async () => {
    const allow = '-- migrate:allow drop-column reason="unused since 2.4"\n';
    expect(await rulesFiring(`-- migrate:up\n${allow}alter table t drop column n;`)).toEqual([]);
    expect(
      await rulesFiring(`-- migrate:up\n${allow}alter table t drop column n;\nalter table t drop column i;`),
    ).toEqual(["drop-column"]);
    expect(
      await rulesFiring(`${allow}-- migrate:up\nalter table t drop column n;\nalter table t drop column i;`),
    ).toEqual([]);
    expect(await rulesFiring(`-- migrate:up\n${allow}alter table t add column a int;`)).toEqual(["unused-allow"]);
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
