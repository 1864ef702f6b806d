import { expect, test } from "vitest";
import { formatLintAnnotations, formatLintSarif } from "./lint-output.ts";
import type { LintReport } from "./linting.ts";

const report: LintReport = {
  files: 2,
  statements: 2,
  problems: [
    {
      code: "MIGRATE-SYNTAX",
      file: "0002_b.sql",
      line: 3,
      column: 7,
      message: 'syntax error at or near "tabel"',
      excerpt: null,
      hint: "Correct the SQL.",
    },
  ],
  findings: [
    {
      id: "LINT-DROP-COLUMN",
      rule: "drop-column",
      severity: "warn",
      title: "100% of app.t,\nits column a",
      hint: "Drop it later.",
      migration: "0001_a",
      file: "0001_a.sql",
      line: 1,
      column: 1,
      blocks: false,
      safer: null,
    },
  ],
};

test("annotations escape what would end a property or a line", () => {
  expect(formatLintAnnotations(report, "./db/my, own/")).toBe(
    '::error file=db/my%2C own/0002_b.sql,line=3,col=7,title=migrate-syntax::syntax error at or near "tabel". Correct the SQL.\n' +
      "::warning file=db/my%2C own/0001_a.sql,line=1,col=1,title=drop-column::100%25 of app.t,%0Aits column a. Drop it later.\n",
  );
});

test("SARIF places every result in its file and points at its rule", () => {
  const log = JSON.parse(formatLintSarif(report, "db/my own")) as {
    version: string;
    runs: { tool: { driver: { rules: { id: string }[] } }; results: Record<string, unknown>[] }[];
  };
  expect(log.version).toBe("2.1.0");
  const [run] = log.runs;
  expect(run?.tool.driver.rules.map(({ id }) => id)).toEqual(["drop-column", "migrate-syntax"]);
  expect(run?.results.map(({ ruleId, ruleIndex, level }) => [ruleId, ruleIndex, level])).toEqual([
    ["migrate-syntax", 1, "error"],
    ["drop-column", 0, "warning"],
  ]);
  expect(run?.results[1]?.["locations"]).toEqual([
    {
      physicalLocation: {
        artifactLocation: { uri: "db/my%20own/0001_a.sql" },
        region: { startLine: 1, startColumn: 1 },
      },
    },
  ]);
});
