import { type ExampleReport, runExample } from "@db/example-runner";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chanuka, faults } from "../src/index.ts";

// Times, on the whole of the data: too much for a machine that has other work.
let cluster: TestCluster;
let report: ExampleReport;
beforeAll(async () => {
  cluster = await startCluster();
  report = await runExample(chanuka, { url: (await cluster.createDatabase()).url });
});
afterAll(() => cluster.stop());

test("loads 20,000 bills and 500,000 engagement rows in under 15 s", () => {
  expect(report.seed?.rows).toMatchObject({ bills: 20_000, users: 5_000, bill_engagement: 500_000 });
  expect(report.seed?.durationMs).toBeLessThan(15_000);
});

test("finds the faults the readme tells", () => {
  const failed = report.validation.results.filter((result) => result.status === "failed");
  expect(Object.fromEntries(failed.map((result) => [result.id, result.violations]))).toEqual(
    Object.fromEntries(faults.map(({ id, rows }) => [id, rows])),
  );
});

test.each(chanuka.demonstrationQueries.map((query) => query.name))(
  "the pack makes “%s” 50 %% faster at least",
  (name) => {
    const { beforeMs, afterMs } = report.queries.find((query) => query.name === name)!;
    expect(afterMs / beforeMs!).toBeLessThan(0.5);
  },
);
