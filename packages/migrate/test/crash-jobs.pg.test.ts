import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { crashJobs, killJob } from "./crash-jobs.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

describe("killed here and there", () => {
  for (const job of crashJobs) {
    test(`${job.name}: doing it again ends as if nothing had been`, async () => {
      expect(await killJob(cluster, job, { every: 31, victim: "runner" })).toBeGreaterThan(0);
    });
  }
});
