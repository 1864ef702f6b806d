import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { diffCatalogs, formatCatalogDifferences } from "../src/catalog-diff.ts";
import { lintRules } from "../src/lint/lint.ts";
import { loadParser } from "../src/parser.ts";
import { columnCases } from "./lint-column-cases.ts";
import { indexCases } from "./lint-index-cases.ts";
import { otherCases } from "./lint-other-cases.ts";
import { rewriteCases } from "./lint-rewrite-cases.ts";
import { findingsOn, type LintServer, lintSchema, readCatalog, startLintServer } from "./lint-server.ts";

let server: LintServer;
beforeAll(async () => {
  server = await startLintServer();
  await server.client.query("create database start");
  const start = await server.cluster.connect("start");
  await start.query(lintSchema.replace("create role lint_reader;", ""));
  await start.end();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const toMigrations = (safer: string): string[] => safer.split("-- in a later migration:\n");

/** One statement after the other, each in its own transaction: a concurrent one allows no other way. */
async function run(client: Client, text: string): Promise<void> {
  const parser = await loadParser();
  for (const { sql } of parser.parse(text)) await client.query(sql);
}

/** A database as all of them start, for as long as `use` takes. */
async function inFreshDatabase<T>(use: (client: Client) => Promise<T>): Promise<T> {
  await server.client.query("create database trial template start");
  try {
    const client = await server.cluster.connect("trial");
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  } finally {
    await server.client.query("drop database trial with (force)");
  }
}

describe("safe rewrites", () => {
  test("every rule that suggests SQL for its case is tried below", async () => {
    const suggesting = new Set<string>();
    for (const { rule, fires, serverVersion = 180_000 } of [...columnCases, ...indexCases, ...otherCases]) {
      const findings = await findingsOn([fires], { ...server.catalog, serverVersion });
      if (findings.some((finding) => finding.rule === rule && finding.safer !== null)) suggesting.add(rule);
    }
    // The query that looks for duplicates changes nothing.
    suggesting.delete("unique-may-fail");
    expect([...suggesting].filter((rule) => !rewriteCases.some((one) => one.rule === rule))).toEqual([]);
  });

  for (const { rule, original, first = "", between = "", leaves = "" } of rewriteCases) {
    test(`${rule}: ${original.split("\n")[0]} is rewritten to what ends in the same schema`, async () => {
      const started = await inFreshDatabase(async (client) => {
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
      const rewritten = await inFreshDatabase(async (client) => {
        await run(client, first);
        for (const [index, migration] of migrations.entries()) {
          if (index === 1) await run(client, between);
          await run(client, migration);
        }
        return readCatalog(client);
      });
      expect(formatCatalogDifferences(diffCatalogs(started.after, rewritten))).toBe(leaves);
    });
  }

  test("where no rewrite can reach the same end, none is suggested", async () => {
    const impossible = [
      "drop index t_i cascade",
      "reindex system postgres",
      "create index on part (id)",
      "alter table part add constraint c unique (id, at)",
      "refresh materialized view bare",
    ];
    for (const sql of impossible) {
      const findings = await findingsOn([sql], server.catalog);
      expect(
        findings.filter(({ rule, safer }) => safer !== null && rule !== "unique-may-fail"),
        sql,
      ).toEqual([]);
    }
  });
});
