import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import {
  BaseDatabaseScript,
  EnhancedHealthCheckScript,
  type HealthCheckReport,
  type ScriptContext,
  type ScriptResult,
} from "@db/legacy-compat/chanuka";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { environmentOf, useEnvironment } from "./old-environment.ts";

let cluster: TestCluster<1>;

beforeAll(async () => {
  cluster = await startCluster({ replicas: 1 });
  useEnvironment(environmentOf(cluster));
});
afterAll(() => cluster?.stop());

class Tidy extends BaseDatabaseScript {
  seen: ScriptContext | undefined;

  constructor() {
    super("tidy", "Tidies up");
  }

  async execute(context: ScriptContext): Promise<ScriptResult> {
    this.seen = context;
    const { orchestrator, logger, options } = context;
    logger.info("looking", { verbose: options.verbose });
    const { rows } = await orchestrator.getConnectionManager().query("select 1 as one");
    logger.progress(1, 1, "looked");
    return { success: true, data: rows };
  }
}

class Endless extends BaseDatabaseScript {
  constructor() {
    super("endless", "Never ends");
  }

  async execute({ orchestrator }: ScriptContext): Promise<ScriptResult> {
    await orchestrator.getConnectionManager().query("select pg_sleep(600)", [], false);
    return { success: true };
  }
}

async function run(script: BaseDatabaseScript, argv: readonly string[]) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const result = await script.run(argv, { env: process.env, stdout, stderr, cwd: () => process.cwd() });
  stdout.end();
  stderr.end();
  return { result, stdout: await text(stdout), stderr: await text(stderr) };
}

describe("BaseDatabaseScript", () => {
  test("runs with its old context, and closes what it opened", async () => {
    const script = new Tidy();
    const { result, stdout, stderr } = await run(script, ["--verbose", "--json", "--timeout", "60"]);
    expect(result).toMatchObject({ success: true, data: [{ one: 1 }], errors: [], exitCode: 0 });
    expect(JSON.parse(stdout)).toMatchObject({ script: "tidy", success: true });
    expect(stderr).toContain('"msg":"looking"');
    expect(script.seen!.options).toMatchObject({ verbose: true, dryRun: false, timeout: 60_000 });
    expect(script.seen!.config.getMonitoringConfig()).toMatchObject({ checkInterval: 30_000 });
    await expect(script.seen!.orchestrator.getConnectionManager().query("select 1")).rejects.toMatchObject({
      code: "LEGACY_SHUT_DOWN",
    });
  });

  test("is ended by its time-out, and its statement with it", async () => {
    const { result } = await run(new Endless(), ["--timeout", "300ms"]);
    expect(result).toMatchObject({ success: false, exitCode: 7 });
    const client = await cluster.connect();
    const sql = "select count(*)::int as running from pg_stat_activity where query like 'select pg_sleep(600)%'";
    await expect.poll(async () => (await client.query(sql)).rows[0], { timeout: 20_000 }).toEqual({ running: 0 });
    await client.end();
  });

  test("shows its help, and refuses a flag it does not have", async () => {
    const { result, stdout } = await run(new Tidy(), ["--help"]);
    expect(result.success).toBe(true);
    expect(stdout).toContain("tidy: Tidies up");
    expect((await run(new Tidy(), ["--hard"])).result).toMatchObject({ success: false, exitCode: 2 });
  });
});

describe("EnhancedHealthCheckScript", () => {
  test("succeeds without a database in a dry run", async () => {
    useEnvironment({});
    expect(await new EnhancedHealthCheckScript().run(["--dry-run"])).toMatchObject({ success: true });
    useEnvironment(environmentOf(cluster));
  });

  test("reports connections, performance, monitoring and a benchmark", async () => {
    const { result } = await run(new EnhancedHealthCheckScript(), ["--benchmark"]);
    const report = result.data as HealthCheckReport;
    expect(result.success, JSON.stringify(result)).toBe(true);
    expect(report).toMatchObject({ orchestrator: { initialized: true }, connections: { primary: true } });
    expect(report.benchmark!.simpleQuery).toBeGreaterThan(0);
  });

  test("fails, and says why, when nothing answers", async () => {
    useEnvironment({ DATABASE_URL: "postgres://a:secret@127.0.0.1:1/a" });
    const { result } = await run(new EnhancedHealthCheckScript(), []);
    expect(result).toMatchObject({ success: false, data: { status: "unhealthy" } });
    expect(JSON.stringify(result)).toContain("ECONNREFUSED");
    useEnvironment(environmentOf(cluster));
  });
});
