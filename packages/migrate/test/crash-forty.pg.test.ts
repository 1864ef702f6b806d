import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fortyStatements, killAndFinish } from "./crash-forty.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

describe("forty statements", () => {
  test("go on after the server or the runner was killed in a CREATE INDEX CONCURRENTLY and in an INSERT", async () => {
    await using workspace = await fortyStatements(false);
    await killAndFinish(cluster, workspace, { victim: "server", at: 20, transactional: false });
    await killAndFinish(cluster, workspace, { victim: "runner", at: 12, transactional: false });
    await killAndFinish(cluster, workspace, { victim: "server", at: 9, transactional: false });
    expect.hasAssertions();
  });
});
