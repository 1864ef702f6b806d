import { createProcessMetrics } from "@db/monitor";
import { expect, test } from "vitest";

test("counters that are known are there from the start, so that the first failure is growth", () => {
  const metrics = createProcessMetrics();
  const of = (name: string) => metrics.families().find((family) => family.name === name);
  expect(of("db_backup_runs_total")?.samples).toEqual([
    { labels: { result: "complete" }, value: 0 },
    { labels: { result: "suspect" }, value: 0 },
    { labels: { result: "failed" }, value: 0 },
  ]);
  expect(of("db_backup_last_success_timestamp_seconds")).toBeUndefined();
  metrics.count("db_backup_runs_total", { result: "failed" });
  metrics.gauge("db_backup_last_success_timestamp_seconds", 7);
  expect(of("db_backup_runs_total")?.samples[2]).toEqual({ labels: { result: "failed" }, value: 1 });
  expect(of("db_backup_last_success_timestamp_seconds")).toMatchObject({
    type: "gauge",
    samples: [{ labels: {}, value: 7 }],
  });
});

test("observations become a histogram, cumulative", () => {
  const metrics = createProcessMetrics();
  metrics.observe("db_backup_duration_seconds", 0.5);
  metrics.observe("db_backup_duration_seconds", 20);
  const [sample] = metrics.families().find(({ name }) => name === "db_backup_duration_seconds")!.samples;
  expect(sample).toMatchObject({ sum: 20.5, count: 2 });
  expect((sample as { buckets: readonly { le: number; count: number }[] }).buckets.slice(1, 6)).toEqual([
    { le: 0.1, count: 0 },
    { le: 1, count: 1 },
    { le: 5, count: 1 },
    { le: 15, count: 1 },
    { le: 60, count: 2 },
  ]);
});

test("what nobody told of before is kept under its own name", () => {
  const metrics = createProcessMetrics();
  metrics.count("own_total", { a: "1", b: "2" });
  metrics.count("own_total", { b: "2", a: "1" });
  expect(metrics.families().find(({ name }) => name === "own_total")?.samples).toEqual([
    { labels: { a: "1", b: "2" }, value: 2 },
  ]);
});
