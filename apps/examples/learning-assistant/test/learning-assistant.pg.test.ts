import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { countFaultRows } from "@db/example-datagen";
import { type ExampleReport, runExample } from "@db/example-runner";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { faults, learningAssistant } from "../src/index.ts";

let cluster: TestCluster;
let url: string;
let report: ExampleReport;
beforeAll(async () => {
  cluster = await startCluster();
  ({ url } = await cluster.createDatabase());
  report = await runExample(learningAssistant, { url });
});
afterAll(() => cluster.stop());

test("the migrations apply and the data is loaded", () => {
  expect(report.migrations).toHaveLength(3);
  expect(report.seed?.rows).toEqual({
    courses: 60,
    lessons: 900,
    students: 1_500,
    lesson_progress: 12_000,
    quizzes: 300,
    quiz_attempts: 6_000,
  });
});

test("the rules find each deliberate fault, as often as it was put in, and nothing else", () => {
  const failed = report.validation.results.filter((result) => result.status === "failed");
  expect(Object.fromEntries(failed.map((result) => [result.id, result.violations]))).toEqual(
    Object.fromEntries(faults.map(({ id }) => [id, countFaultRows(faults, id, 1)])),
  );
  expect(report.validation.counts.error).toBe(0);
});

test("the pack halves the cost of every demonstration query at least", () => {
  expect(report.indexes).toHaveLength(learningAssistant.indexPack.indexes.length);
  for (const { name, beforeCost, afterCost } of report.queries) {
    expect({ name, ratio: afterCost / beforeCost! }).toEqual({ name, ratio: expect.toSatisfy((r: number) => r < 0.5) });
  }
});

test("the faults are as many at another scale", async () => {
  const small = await cluster.createDatabase();
  const { validation } = await runExample(learningAssistant, { url: small.url, scale: 0.1 });
  const failed = validation.results.filter((result) => result.status === "failed");
  expect(Object.fromEntries(failed.map((result) => [result.id, result.violations]))).toEqual(
    Object.fromEntries(faults.map(({ id }) => [id, countFaultRows(faults, id, 0.1)])),
  );
});

test("the program prints what it found, and says how to call it", async () => {
  const again = await runProgram({ DATABASE_URL: url });
  expect(again.output).toMatch(/migrations {2}all were applied\n.*rows, loaded before\n/);
  expect([again.code, again.errors]).toEqual([0, ""]);
  const wrong = await runProgram({});
  expect([wrong.code, wrong.output]).toEqual([2, ""]);
  expect(wrong.errors).toContain("DATABASE_URL is not set");
});

async function runProgram(
  environment: Record<string, string>,
): Promise<{ code: number; output: string; errors: string }> {
  const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
  const env = { PATH: process.env["PATH"] ?? "", ...environment };
  const child = spawn(process.execPath, ["--conditions=@db/source", main], { env, stdio: ["ignore", "pipe", "pipe"] });
  const [[code], output, errors] = await Promise.all([once(child, "exit"), text(child.stdout), text(child.stderr)]);
  return { code: code as number, output, errors };
}
