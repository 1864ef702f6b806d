import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { emptyFolder, repository, runDb } from "./binary.ts";

let cluster: TestCluster<1>;
let folder: Awaited<ReturnType<typeof emptyFolder>>;
let env: Record<string, string>;

interface Answer {
  readonly command: string;
  readonly data: {
    readonly recommendations: readonly { readonly name: string; readonly verdict: string }[] | null;
    readonly alignment: readonly { readonly aligned: boolean }[] | null;
  };
}

beforeAll(async () => {
  folder = await emptyFolder();
  cluster = await startCluster({ replicas: 1 });
  env = {
    DATABASE_URL: cluster.primary.url,
    READ_REPLICA_URLS: cluster.replicas[0].url,
    DB_SLOW_QUERY_THRESHOLD: "100",
  };
});
afterAll(async () => {
  await cluster?.stop();
  await folder?.remove();
});

describe("db verify", () => {
  test("proves the six recommendations, and says what was seen", async () => {
    const { code, stdout, stderr } = await runDb(["verify"], { cwd: folder.path, env });
    expect(code, stdout + stderr).toBe(0);
    expect(stdout).toContain(`${process.platform === "linux" ? 6 : 5} of 6 recommendations proved`);
    expect(stdout).toMatch(/✓ Circuit breaker +opened after \d+ failed statements/);
    expect(stdout).toMatch(/✓ environment-production +production: 5 to 50 connections/);
  });

  test("ends with 4 when one is not in force", async () => {
    const own = { ...env, DB_MAX_RETRIES: "0" };
    const { code, stdout } = await runDb(["verify", "recommendations", "--json"], { cwd: folder.path, env: own });
    const { data } = JSON.parse(stdout) as Answer;
    expect(data.recommendations?.filter(({ verdict }) => verdict === "refuted").map(({ name }) => name)).toEqual([
      "automatic-retry",
    ]);
    expect(code).toBe(4);
  });

  test("answers to the old script names", async () => {
    for (const [old, command, parts] of [
      ["db:validate-migration", "verify recommendations", ["recommendations"]],
      ["verify-alignment", "verify alignment", ["alignment"]],
      ["verify-all", "verify", ["recommendations", "alignment"]],
    ] as const) {
      const { stdout } = await runDb([old, "--json"], { cwd: folder.path, env });
      const answer = JSON.parse(stdout) as Answer;
      expect(answer.command, old).toBe(command);
      expect(Object.entries(answer.data).flatMap(([part, of]) => (of === null ? [] : [part]))).toEqual(parts);
    }
    const { scripts } = JSON.parse(await readFile(join(repository, "package.json"), "utf8")) as {
      scripts: Record<string, string>;
    };
    expect(scripts["db:verify-all"]).toMatch(/verify$/);
    expect(scripts["db:validate-migration"]).toMatch(/verify recommendations$/);
    expect(scripts["db:verify-alignment"]).toMatch(/verify alignment$/);
  });
});
