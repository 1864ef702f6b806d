import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Catalog } from "../src/catalog.ts";
import { lint, lintRules } from "../src/lint/lint.ts";
import { readSections } from "../src/migration-file.ts";
import { loadParser } from "../src/parser.ts";
import { parseMigration } from "../src/planned-migration.ts";
import { columnCases } from "./lint-column-cases.ts";
import { isHarmed } from "./lint-harm.ts";
import { indexCases } from "./lint-index-cases.ts";
import { otherCases } from "./lint-other-cases.ts";
import { findingsOn, type LintServer, startLintServer } from "./lint-server.ts";

const cases = [...columnCases, ...indexCases, ...otherCases];

let server: LintServer;
beforeAll(async () => {
  server = await startLintServer();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function rulesFiring(text: string, serverVersion = 180_000): Promise<string[]> {
  const findings = await findingsOn([text], { ...server.catalog, serverVersion });
  return findings.flatMap(({ rule }) => rule ?? []);
}

/** Without matters of taste. */
async function costsFiring(text: string): Promise<string[]> {
  return (await rulesFiring(text)).filter((rule) => !lintRules.get(rule)?.advice);
}

describe("lint rules", () => {
  test("every rule has a case", () => {
    expect(cases.map(({ rule }) => rule).sort()).toEqual([...lintRules.keys()].sort());
  });

  test("the server is asked about every rule but the one on older servers", () => {
    const unasked = cases.filter(({ harm }) => harm === "none").map(({ rule }) => rule);
    expect(unasked.sort()).toEqual(["concurrent-index-corrupt"]);
  });

  for (const { rule, fires, silent, harm, serverVersion } of cases) {
    test(`${rule} fires where the server shows the harm, and is silent where it does not`, async () => {
      expect(await rulesFiring(fires, serverVersion)).toContain(rule);
      expect(await rulesFiring(silent, serverVersion)).not.toContain(rule);
      if (harm === "none") return;
      expect(await isHarmed(server.client, fires, harm), "harm where it fires").toBe(true);
      // In a transaction a concurrent statement is refused, whatever it would do.
      const isRefused = silent.includes("concurrently") && harm !== "once" && harm !== "twice";
      if (!isRefused) expect(await isHarmed(server.client, silent, harm), "harm where it is silent").toBe(false);
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
    const small = { ...server.catalog, tables: server.catalog.tables.map((table) => ({ ...table, rows: 500 })) };
    const { up } = readSections("0001_case.sql", "alter table t alter column i type bigint");
    const { statements } = parseMigration(await loadParser(), up, null, 180_000, []);
    const migration = { id: "0001_case", statements, transactional: true, allowances: [] };
    const severities = (facts: Catalog): unknown[] =>
      lint([migration], facts, { blocks: "critical", exempt: "plan" }).findings.map(({ severity, blocks }) => [
        severity,
        blocks,
      ]);
    expect(severities(server.catalog)).toEqual([["critical", true]]);
    expect(severities(small)).toEqual([["info", false]]);
  });
});
