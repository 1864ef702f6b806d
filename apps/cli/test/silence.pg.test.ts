import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { emptyFolder, runDb } from "./binary.ts";

let cluster: TestCluster;
let folder: Awaited<ReturnType<typeof emptyFolder>>;
beforeAll(async () => {
  folder = await emptyFolder();
  cluster = await startCluster();
});
afterAll(async () => {
  await cluster?.stop();
  await folder?.remove();
});

test("an alert is silenced for every process, listed, and told again", async () => {
  const env = { DATABASE_URL: cluster.primary.url, DB_MONITORING_HISTORY: "true" };
  const run = async (...words: string[]) => {
    const { code, stdout } = await runDb(["monitor", ...words, "--json"], { cwd: folder.path, env });
    return { code, answer: JSON.parse(stdout) as { data: unknown; error: { code: string } | null } };
  };
  const silenced = await run(
    "silence",
    "PgLockWait",
    "--reason",
    "a drill",
    "--for",
    "2h",
    "--label",
    "server=primary",
  );
  expect(silenced.code).toBe(0);
  const [only, ...others] = (await run("silences")).answer.data as { id: string }[];
  expect([only, others]).toEqual([
    expect.objectContaining({
      rule: "PgLockWait",
      reason: "a drill",
      labels: { server: "primary" },
      endsWithAlert: false,
    }),
    [],
  ]);
  expect((await run("silence", "PgLockWeight", "--reason", "x")).answer.error?.code).toBe("CLI_USAGE");
  expect((await run("silence", "PgLockWait")).answer.error?.code).toBe("CLI_USAGE");
  expect((await run("unsilence", only!.id)).code).toBe(0);
  expect((await run("unsilence", only!.id)).code).toBe(2);
  expect((await run("silences")).answer.data).toEqual([]);
});

test("a silence that nobody would know of is refused", async () => {
  const { code, stdout } = await runDb(["monitor", "silence", "PgLockWait", "--reason", "x", "--json"], {
    cwd: folder.path,
    env: { DATABASE_URL: cluster.primary.url },
  });
  expect(code).not.toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: "ORCHESTRATOR_NOT_CONFIGURED" } });
});
