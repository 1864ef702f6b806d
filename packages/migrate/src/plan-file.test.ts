import { describe, expect, test } from "vitest";
import type { MigrationPlan } from "./plan.ts";
import { formatPlanFile, readPlanFile } from "./plan-file.ts";

const plan: MigrationPlan = {
  format: 1,
  direction: "up",
  phase: null,
  createdAt: "2026-11-21T10:00:00.000Z",
  directory: "/srv/app/migrations",
  folderFormat: "sql",
  server: { version: 180_004, database: "app" },
  history: { schema: "db_migrate", table: "history", exists: false, known: [], drizzleSchema: null },
  catalogFingerprint: "abc",
  adopt: [],
  migrations: [],
  findings: [],
  blocked: true,
};

describe("a stored plan", () => {
  test("is read as it was written, whatever the blanks between", () => {
    expect(readPlanFile(formatPlanFile(plan))).toEqual(plan);
    expect(readPlanFile(JSON.stringify(JSON.parse(formatPlanFile(plan))))).toEqual(plan);
  });

  test("is refused once it was edited", () => {
    const edited = formatPlanFile(plan).replace('"blocked": true', '"blocked": false');
    expect(() => readPlanFile(edited)).toThrow("the plan file was edited after it was made");
  });

  test.for([
    ["cut short", formatPlanFile(plan).slice(0, 80), "the plan is no JSON"],
    ["without a digest", JSON.stringify(plan), "no migration plan of this version"],
    ["of another version", JSON.stringify({ ...plan, digest: "x", format: 2 }), "no migration plan of this version"],
    ["that is none", "null", "no migration plan of this version"],
  ] as const)("%s is told by name", ([, text, message]) => {
    expect(() => readPlanFile(text)).toThrow(message);
  });
});
