import { loadConfig } from "@db/config";
import type { LogFields, Logger } from "@db/core";
import { configureLegacy } from "@db/legacy-compat";
import { databaseService, getDatabaseConfig, getDatabaseOrchestrator } from "@db/legacy-compat/chanuka";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { useEnvironment } from "./old-environment.ts";

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster?.stop());

test("a configuration and a logger that are given count, whatever the environment says", async () => {
  useEnvironment({ DATABASE_URL: "postgres://a@127.0.0.1:1/elsewhere", DB_CONNECTION_LIMIT: "4" });
  const { config } = await loadConfig({
    env: { DATABASE_URL: cluster.primary.url },
    readFiles: false,
    overrides: { connection: { applicationName: "given" } },
  });
  const lines: string[] = [];
  const write = (fields: LogFields, message: string): void =>
    void lines.push(`${String(fields["operation"])}: ${message}`);
  const logger: Logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: write,
    error: write,
    child: () => logger,
  };
  configureLegacy({ config, logger });

  const orchestrator = getDatabaseOrchestrator();
  await orchestrator.initialize();
  const manager = orchestrator.getConnectionManager();
  const { rows } = await manager.query("select current_setting('application_name') as name");
  expect(rows).toEqual([{ name: "given" }]);
  expect(getDatabaseConfig().getConnectionConfig()).toMatchObject({ port: cluster.primary.port, max: 10 });

  databaseService.initialize(manager.getPool());
  await databaseService.executeQuery(() => manager.query("select * from nowhere"), "nowhere");
  expect(lines).toEqual(['nowhere: operation failed: relation "nowhere" does not exist']);
  await databaseService.shutdown();
  await orchestrator.shutdown();
});
