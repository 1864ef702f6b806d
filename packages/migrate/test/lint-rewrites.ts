import type { Client } from "pg";
import { expect } from "vitest";
import { diffCatalogs, formatCatalogDifferences } from "../src/catalog-diff.ts";
import { lintRules } from "../src/lint/lint.ts";
import { loadParser } from "../src/parser.ts";
import type { RewriteCase } from "./lint-rewrite-cases.ts";
import { builtIn, findingsOn, type LintServer, lintSchema, readCatalog, startLintServer } from "./lint-server.ts";

/** A server with a database that every trial is copied from. */
export async function startRewriteServer(version: number): Promise<LintServer> {
  const server = await startLintServer(version);
  await server.client.query("create database start");
  const start = await server.cluster.connect("start");
  await start.query(`${builtIn(version)}${lintSchema.replace("create role lint_reader;", "")}`);
  await start.end();
  return server;
}

/**
 * Runs a statement in one database and what lint suggests for it in another, and holds their catalogs side by side.
 * Each migration of the rewrite is linted as well: it must not have what it is meant to take away.
 */
export async function proveRewrite(
  server: LintServer,
  { rule, original, first = "", between = "", leaves = "" }: RewriteCase,
): Promise<void> {
  const started = await inFreshDatabase(server, async (client) => {
    await run(client, first);
    const before = await readCatalog(client);
    await run(client, original);
    return { before, after: await readCatalog(client) };
  });
  const findings = await findingsOn([original], started.before);
  const safer = findings.find((finding) => finding.rule === rule)?.safer;
  if (!safer) throw new Error(`${rule} suggests nothing for: ${original}`);
  const migrations = toMigrations(safer);
  const left = (await findingsOn(migrations, started.before)).filter(
    (finding) => !lintRules.get(finding.rule ?? "")?.advice,
  );
  expect(left.map((finding) => `${finding.rule}: ${finding.title}`)).toEqual([]);
  const rewritten = await inFreshDatabase(server, async (client) => {
    await run(client, first);
    for (const [index, migration] of migrations.entries()) {
      if (index === 1) await run(client, between);
      await run(client, migration);
    }
    return readCatalog(client);
  });
  expect(formatCatalogDifferences(diffCatalogs(started.after, rewritten))).toBe(leaves);
}

const toMigrations = (safer: string): string[] => safer.split("-- in a later migration:\n");

/** One statement after the other, each in its own transaction: a concurrent one allows no other way. */
async function run(client: Client, text: string): Promise<void> {
  const parser = await loadParser();
  for (const { sql } of parser.parse(text)) await client.query(sql);
}

/** A database as all of them start, for as long as `use` takes. */
async function inFreshDatabase<T>(server: LintServer, use: (client: Client) => Promise<T>): Promise<T> {
  await server.client.query("create database trial template start");
  try {
    const client = await server.cluster.connect("trial");
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  } finally {
    // The server waits for a session that is just ending.
    await server.client.query("drop database trial");
  }
}
