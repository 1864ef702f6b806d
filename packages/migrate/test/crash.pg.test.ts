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
  test("leaves a true status, and the next apply finishes without doing anything twice", async () => {
    const seen = await killEverywhere(cluster, 12);
    expect(seen).toEqual(expect.arrayContaining(["pending,pending,pending", "applied,interrupted,pending"]));
  });
});
