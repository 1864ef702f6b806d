import type { Database } from "@db/core";
import {
  applyMigrations,
  type ApplyOptions,
  type CreatedMigration,
  createMigrationFile,
  type MigrationPlan,
  type MigrationReport,
  type MigrationStatus,
  migrationStatus,
  planMigrations,
  type PlanOptions,
  planRollback,
  type RollbackOptions,
} from "@db/migrate";
import type { Config } from "@db/config";
import type { Application } from "./application.ts";
import type { AuditTrail } from "./audit.ts";
import { ReadOnlyError } from "./errors.ts";

type Folder = { readonly directory?: string };

/** Schema migrations, with the configured folder, history and limits. Every change is in the audit trail. */
export interface MigrationService {
  readonly directory: string;
  status(options?: Folder): Promise<MigrationStatus>;
  plan(options?: Partial<PlanOptions>): Promise<MigrationPlan>;
  planRollback(options?: Partial<RollbackOptions>): Promise<MigrationPlan>;
  apply(plan: MigrationPlan, options?: ApplyOptions): Promise<MigrationReport>;
  create(name: string, options?: Folder & { readonly dryRun?: boolean }): Promise<CreatedMigration>;
}

export function createMigrationService(options: {
  /** Asked for when the database is: making a file needs none. */
  readonly db: () => Database;
  readonly config: Config;
  readonly application: Application | undefined;
  readonly audit: AuditTrail;
  readonly readOnly: boolean;
}): MigrationService {
  const { db, config, application, audit, readOnly } = options;
  const { schema, table, lockTimeoutMs, statementTimeoutMs } = config.migrate;
  const directory = application?.migrationsDirectory ?? config.migrate.directory;
  const defaults = { directory, schema, table, lockTimeoutMs, statementTimeoutMs };
  return {
    directory,
    status: (folder = {}) => migrationStatus(db(), { directory, schema, table, ...folder }),
    plan: (given = {}) => planMigrations(db(), { ...defaults, ...given }),
    planRollback: (given = {}) => planRollback(db(), { ...defaults, ...given }),
    async apply(plan, given = {}) {
      if (readOnly) throw new ReadOnlyError("applying migrations");
      return audit.run(
        plan.direction === "down" ? "migration.down" : "migration.apply",
        () => applyMigrations(db(), plan, given),
        (report) => ({ migrations: plan.migrations.map(({ id }) => id), durationMs: report.durationMs }),
      );
    },
    create: (name, { directory: other = directory, dryRun = false } = {}) =>
      createMigrationFile({ directory: other, name, dryRun }),
  };
}
