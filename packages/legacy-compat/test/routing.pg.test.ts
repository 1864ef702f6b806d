import { closeConnectionManager, getConnectionManager } from "@db/legacy-compat/chanuka/core";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { environmentOf, useEnvironment } from "./old-environment.ts";

let cluster: TestCluster<1>;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1, replicaSettings: { recovery_min_apply_delay: "1h" } });
  useEnvironment(environmentOf(cluster));
});
afterAll(async () => {
  await closeConnectionManager();
  await cluster?.stop();
});

test("a read is not sent to a replica that lacks what was written here", async () => {
  const manager = getConnectionManager();
  await manager.initialize();
  await manager.query("create table votes (bill int)");
  await manager.query("insert into votes values (1)");
  expect((await manager.query("select bill from votes")).rows).toEqual([{ bill: 1 }]);
});
