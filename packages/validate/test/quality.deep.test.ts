import { existsSync } from "node:fs";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runValidation, suggestRules, type ValidationRule } from "../src/index.ts";
import { type LabelledTable, loadLabelled, qualityDirectory } from "./labelled-table.ts";

const present = existsSync(qualityDirectory);
if (!present) console.log(`skipped: no labelled tables at ${qualityDirectory}`);

let cluster: TestCluster;
let pool: Pool;

beforeAll(async () => {
  cluster = await startCluster();
  pool = cluster.createPool();
});

afterAll(async () => {
  await pool?.end();
  await cluster?.stop();
});

interface Found {
  /** Share of the faulty cells that some rule points at, 0 to 1. */
  readonly recall: number;
  /** Share of the cells pointed at that are faulty, 0 to 1. */
  readonly precision: number;
}

async function compare(labelled: LabelledTable, rules: readonly ValidationRule[]): Promise<Found> {
  const report = await runValidation(pool, rules, { samples: { limit: 10_000 }, schemaChecks: false });
  const pointed = new Set<string>();
  for (const result of report.results) {
    for (const key of result.sample?.keys ?? []) for (const name of result.columns) pointed.add(`${key[0]}/${name}`);
  }
  const hits = [...pointed].filter((cell) => labelled.faults.has(cell)).length;
  return { recall: hits / labelled.faults.size, precision: pointed.size === 0 ? 1 : hits / pointed.size };
}

describe.skipIf(!present)("tables whose faults are known", () => {
  test("rules suggested for hospital, unseen by anybody, find most of its faults and little else", async () => {
    const labelled = await loadLabelled(pool, "hospital");
    const { suggestions } = await suggestRules(pool, { tables: ["hospital"], dependencies: true });
    const suspicious = suggestions.filter((suggestion) => !suggestion.holds);
    const found = await compare(
      labelled,
      suspicious.map((suggestion) => suggestion.rule),
    );
    console.log(
      `hospital: ${labelled.faults.size} faulty cells, ${suspicious.length} suggested rules with failures, ` +
        `recall ${found.recall.toFixed(3)}, precision ${found.precision.toFixed(3)}`,
    );
    expect(found.recall).toBeGreaterThan(0.75);
    expect(found.precision).toBeGreaterThan(0.9);
  });

  test("a handful of rules written for beers find all of its faults and nothing else", async () => {
    const labelled = await loadLabelled(pool, "beers");
    const found = await compare(labelled, [
      { kind: "pattern", table: "beers", column: "ounces", pattern: "^[0-9]+([.][1-9][0-9]*)?$" },
      { kind: "pattern", table: "beers", column: "abv", pattern: "^0[.][0-9]+$" },
      { kind: "pattern", table: "beers", column: "ibu", pattern: "^[0-9]+$" },
      { kind: "not-null", table: "beers", column: "state" },
      { kind: "expression", table: "beers", expression: "city !~ ' [A-Z]{2}$'", columns: ["city"] },
    ]);
    console.log(`beers: ${labelled.faults.size} faulty cells, ${JSON.stringify(found)}`);
    expect(found).toEqual({ recall: 1, precision: 1 });
  });
});
