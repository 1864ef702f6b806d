import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configureLegacy } from "@db/legacy-compat";
import { getDatabaseIntegration, getServices } from "@db/legacy-compat/chanuka";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { environmentOf, useEnvironment } from "./old-environment.ts";

let cluster: TestCluster<1>;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "integration-"));
  const migrationsDirectory = join(folder, "migrations");
  await mkdir(migrationsDirectory);
  await writeFile(
    join(migrationsDirectory, "20260101000000_bills.sql"),
    "create table bills (id int primary key, cost int not null);\ninsert into bills values (1, -1), (2, 5);\n",
  );
  cluster = await startCluster({ replicas: 1 });
  useEnvironment({ ...environmentOf(cluster), BACKUP_PATH: join(folder, "backups") });
  configureLegacy({
    application: {
      name: "bills",
      title: "Bills",
      migrationsDirectory,
      validationRules: [
        { kind: "range", table: "bills", column: "cost", min: 0, severity: "critical" },
        { kind: "not-null", table: "bills", column: "cost" },
      ],
      indexPack: { name: "bills", indexes: [] },
      demonstrationQueries: [],
    },
  });
});
afterAll(async () => {
  await getDatabaseIntegration().shutdown();
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe("the integration of a product", () => {
  test("tells of migrations that are pending", async () => {
    const { migrations } = (await getDatabaseIntegration().getHealthStatus()).components;
    expect(migrations).toMatchObject({ status: "warning", message: "1 migration is pending" });
    expect(await getServices().migrationManager.validateMigrations()).toEqual({ valid: true, issues: [] });
  });

  test("applies them at its start, and starts the schedules", async () => {
    expect(
      getServices()
        .jobs.map(({ nextRunAt }) => nextRunAt)
        .filter((at) => at !== null),
    ).toEqual([]);
    await getDatabaseIntegration().initialize();
    expect((await getDatabaseIntegration().query("select id from bills order by id")).rows).toEqual([
      { id: 1 },
      { id: 2 },
    ]);
    const planned = getServices().jobs.filter(({ nextRunAt }) => nextRunAt !== null);
    expect(planned.map(({ name }) => name)).toEqual(expect.arrayContaining(["backup", "validation"]) as string[]);
    expect((await getDatabaseIntegration().getHealthStatus()).components.migrations.status).toBe("healthy");
  });

  test("counts the rules that hold and that do not, and tells of data that breaks a critical one", async () => {
    expect(await getServices().validation.runValidation()).toMatchObject({
      totalRules: 2,
      passedRules: 1,
      failedRules: 1,
      criticalViolations: 1,
    });
    const { components, overall, recommendations } = await getDatabaseIntegration().getHealthStatus();
    expect(components.validation).toMatchObject({ status: "critical", message: "1 critical rules fail" });
    expect(overall).toBe("critical");
    expect(recommendations).toContain("Mend the data that breaks critical rules.");
  });
});
