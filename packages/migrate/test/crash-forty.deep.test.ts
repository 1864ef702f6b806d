import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fortyStatements, killAndFinish, type Victim } from "./crash-forty.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

const everyStatement = Array.from({ length: 40 }, (_, index) => index + 1);

describe("forty statements, killed after each of them", () => {
  for (const victim of ["runner", "server"] satisfies Victim[]) {
    for (const transactional of [true, false]) {
      const how = transactional ? "in one transaction" : "statement by statement";
      test(`the ${victim} dies, ${how}: the status is true and the next run finishes, forty times of forty`, async () => {
        await using workspace = await fortyStatements(transactional);
        let finished = 0;
        for (const at of everyStatement) {
          await killAndFinish(cluster, workspace, { victim, at, transactional });
          finished++;
        }
        expect(finished).toBe(40);
      });
    }
  }
});
