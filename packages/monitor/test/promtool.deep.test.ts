import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultRules, renderPrometheusRules } from "@db/monitor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RuleCase, ruleCases } from "./rule-cases.ts";

const found = spawnSync("promtool", ["--version"]).status === 0;
if (!found) console.log("skipped: promtool is not installed (Debian: apt-get install prometheus)");

describe.runIf(found)("promtool", () => {
  let folder: string;
  let fires: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "rules-"));
    await writeFile(join(folder, "rules.yml"), renderPrometheusRules());
    await writeFile(join(folder, "fires.json"), JSON.stringify(fileOf((each) => each.fires)));
    await writeFile(join(folder, "silent.json"), JSON.stringify(fileOf((each) => each.silent)));
    fires = promtool("test", "rules", "fires.json").said;
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });
  const promtool = (...args: readonly string[]): { readonly status: number | null; readonly said: string } => {
    const { status, stdout, stderr } = spawnSync("promtool", args, { cwd: folder, encoding: "utf8" });
    return { status, said: stdout + stderr };
  };

  test("takes every rule", () => {
    const { status, said } = promtool("check", "rules", "rules.yml");
    expect(status, said).toBe(0);
    expect(said).toContain(`${defaultRules.flatMap(({ levels }) => levels).length} rules found`);
  });

  for (const [i, { rule, severity }] of ruleCases.entries()) {
    test(`finds that ${rule} fires with ${severity} where our evaluator does`, () => {
      // The expectation of silence fails, and the failure shows what fired.
      const fired = fires.split("\n").filter((line) => line.includes(`instance="case-${i}"`));
      expect(fired.join("\n")).toContain(`severity="${severity}"`);
      expect(fired.join("\n")).toContain(`alertname="${rule}"`);
    });
  }

  test("finds every rule silent where our evaluator does", () => {
    const { status, said } = promtool("test", "rules", "silent.json");
    expect(status, said).toBe(0);
  });
});

/** One test a case, each with an instance of its own, all expecting silence. JSON is YAML. */
function fileOf(seriesOf: (each: RuleCase) => RuleCase["fires"]): object {
  return {
    rule_files: ["rules.yml"],
    evaluation_interval: "1m",
    tests: ruleCases.map((each, i) => ({
      interval: "1m",
      input_series: seriesOf(each).map(({ metric, labels, from, step, until = each.atMinute }) => ({
        series: `${metric}{${Object.entries({ instance: `case-${i}`, job: "db", ...labels })
          .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
          .join(",")}}`,
        values: `${from}${step < 0 ? "-" : "+"}${Math.abs(step)}x${until}`,
      })),
      alert_rule_test: [{ eval_time: `${each.atMinute}m`, alertname: each.rule, exp_alerts: [] }],
    })),
  };
}
