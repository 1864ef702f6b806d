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

describe("killed after every single query", () => {
  for (const job of crashJobs) {
    test(`${job.name}: the status is true, and doing it again ends as if nothing had been`, async () => {
      const kills = await killJob(cluster, job, { every: 1, victim: "runner" });
      console.log(`${job.name}: killed ${kills} times`);
      expect(kills).toBeGreaterThan(5);
    });
  }
});

describe("its server killed after every ninth query", () => {
  for (const job of crashJobs) {
    test(`${job.name}: the status is true, and doing it again ends as if nothing had been`, async () => {
      const kills = await killJob(cluster, job, { every: 9, victim: "server" });
      console.log(`${job.name}: its server was killed ${kills} times`);
      expect(kills).toBeGreaterThan(1);
    });
  }
});
