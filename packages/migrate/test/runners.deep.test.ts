import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkOnce, concurrentFiles, runEight } from "./eight-runners.ts";
import { hasPgbouncer, startPgbouncer } from "./pgbouncer.ts";
import { makeWorkspace } from "./workspace.ts";

// MIGRATE_RUNNER_ROUNDS=100 repeats it more often.
const rounds = Number(process.env["MIGRATE_RUNNER_ROUNDS"] ?? 10);

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ version: 18 });
});
afterAll(async () => {
  await cluster.stop();
});

async function runRound(pooled: (url: string) => string): Promise<void> {
  await using workspace = await makeWorkspace(concurrentFiles);
  const { url } = await cluster.createDatabase();
  await checkOnce(url, await runEight(pooled(url), workspace), workspace);
}

describe(`eight runners at once, with CONCURRENTLY in the plan, ${rounds} times`, () => {
  test("apply once and without a deadlock, directly", async () => {
    let done = 0;
    for (; done < rounds; done++) await runRound((url) => url);
    expect(done).toBe(rounds);
  });

  for (const mode of ["session", "transaction"] as const) {
    test.skipIf(!hasPgbouncer)(`apply once and without a deadlock, through PgBouncer in ${mode} mode`, async () => {
      await using pooler = await startPgbouncer((await cluster.createDatabase()).url, mode);
      let done = 0;
      for (; done < rounds; done++) {
        await runRound((url) => Object.assign(new URL(pooler.url), { pathname: new URL(url).pathname }).href);
      }
      expect(done).toBe(rounds);
    });
  }
});
