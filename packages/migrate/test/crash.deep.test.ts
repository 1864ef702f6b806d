import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { killEverywhere } from "./crash.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

describe("a runner killed with SIGKILL", () => {
  test("leaves a true status after every single query, and the next apply finishes", async () => {
    const seen = await killEverywhere(cluster, 1);
    expect(seen).toEqual(expect.arrayContaining(["pending,pending,pending", "applied,interrupted,pending"]));
  });
});
