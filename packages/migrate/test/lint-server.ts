import { toDatabase } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Client } from "pg";
import { expect } from "vitest";
import { type Catalog, collectCatalog } from "../src/catalog.ts";
import type { FileProblem } from "../src/file-problem.ts";
import type { MigrationFinding } from "../src/finding.ts";
import { lint } from "../src/lint/lint.ts";
import { readSections } from "../src/migration-file.ts";
import { loadParser } from "../src/parser.ts";
import { parseMigration } from "../src/planned-migration.ts";

/** What the cases stand on. */
export const lintSchema = `
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
  create materialized view bare as select 1 as one;
  create materialized view mv as select 1 as one;
  create unique index mv_one on mv (one);
  analyze;
  -- The tables are small for speed and declared large for the rules.
  update pg_class set reltuples = 1000000 where relname in ('t', 'p', 'mv', 'part_2025', 'part_2026', 'part_2027');
  create role lint_reader;`;

/** A server with the schema the cases stand on. */
export interface LintServer extends AsyncDisposable {
  readonly cluster: TestCluster<0>;
  readonly client: Client;
  readonly catalog: Catalog;
}

export async function startLintServer(version: number = 18): Promise<LintServer> {
  await using stack = new AsyncDisposableStack();
  const cluster = await startCluster({ version });
  stack.defer(() => cluster.stop());
  const client = await cluster.connect();
  stack.defer(() => client.end());
  await client.query(`${builtIn(version)}${lintSchema}`);
  const catalog = await readCatalog(client);
  const kept = stack.move();
  return { cluster, client, catalog, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** What later versions have of their own. */
export function builtIn(version: number): string {
  return version < 13 ? "create extension pgcrypto;" : "";
}

export function readCatalog(client: Client): Promise<Catalog> {
  return toDatabase(client).withSession((session) => collectCatalog(session, "db_migrate"));
}

/** Findings on files that run one after the other, matters of taste included. */
export async function findingsOn(texts: readonly string[], catalog: Catalog): Promise<readonly MigrationFinding[]> {
  const parser = await loadParser();
  const problems: FileProblem[] = [];
  const migrations = texts.map((text, index) => {
    const id = `${String(index + 1).padStart(4, "0")}_case`;
    const sections = readSections(`${id}.sql`, text);
    problems.push(...sections.problems);
    const { statements, transactional } = parseMigration(parser, sections.up, null, catalog.serverVersion, problems);
    return { id, statements, transactional, allowances: sections.allowances };
  });
  expect(problems).toEqual([]);
  return lint(migrations, catalog, { blocks: "critical", exempt: "plan", advice: true }).findings;
}
