import { countFaultRows } from "@db/example-datagen";
import { type ExampleReport, runExample } from "@db/example-runner";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { faults, unifiedHealthcare } from "../src/index.ts";

let cluster: TestCluster;
let url: string;
let report: ExampleReport;
beforeAll(async () => {
  cluster = await startCluster();
  ({ url } = await cluster.createDatabase());
  report = await runExample(unifiedHealthcare, { url });
});
afterAll(() => cluster.stop());

test("the migrations apply and the data is loaded", () => {
  expect(report.migrations).toHaveLength(3);
  expect(report.seed?.rows).toEqual({ Patient: 4_000, Clinician: 80, Appointment: 9_000, MedicalRecord: 6_750 });
});

test("the rules find each deliberate fault, as often as it was put in, and nothing else", () => {
  const failed = report.validation.results.filter((result) => result.status === "failed");
  expect(Object.fromEntries(failed.map((result) => [result.id, result.violations]))).toEqual(
    Object.fromEntries(faults.map(({ id }) => [id, countFaultRows(faults, id, 1)])),
  );
  expect(report.validation.counts.error).toBe(0);
});

test("the pack halves the cost of every demonstration query at least", () => {
  expect(report.indexes).toHaveLength(unifiedHealthcare.indexPack.indexes.length);
  for (const { name, beforeCost, afterCost } of report.queries) {
    expect({ name, ratio: afterCost / beforeCost! }).toEqual({ name, ratio: expect.toSatisfy((r: number) => r < 0.5) });
  }
});

test("the faults are as many at another scale", async () => {
  const small = await cluster.createDatabase();
  const { validation } = await runExample(unifiedHealthcare, { url: small.url, scale: 0.1 });
  const failed = validation.results.filter((result) => result.status === "failed");
  expect(Object.fromEntries(failed.map((result) => [result.id, result.violations]))).toEqual(
    Object.fromEntries(faults.map(({ id }) => [id, countFaultRows(faults, id, 0.1)])),
  );
});
