import { userInfo } from "node:os";
import type { Config } from "@db/config";
import { type Logger, noLogger, systemClock } from "@db/core";
import { createPool, type Pool } from "@db/pool";
import type { Application } from "./application.ts";
import { createAuditTrail } from "./audit.ts";
import { createEvents } from "./events.ts";
import { createMigrationService, type MigrationService } from "./migration-service.ts";
import { poolOptionsOf } from "./pool-options.ts";

export {
  foreignTools,
  formatCatalogDifferences,
  formatLintAnnotations,
  formatLintReport,
  formatLintSarif,
  formatMigrationPlan,
  formatPlanFile,
  type LintReport,
  MigrationFilesError,
  planImport,
  readPlanFile,
  writeImport,
  writeSquash,
} from "@db/migrate";
export type { MigrationService } from "./migration-service.ts";

/** Migrations alone, and the pool they work on. */
export interface OpenedMigrations extends AsyncDisposable {
  readonly migrations: MigrationService;
  /** Undefined until something asked the database. */
  readonly pool: Pool | undefined;
}

/**
 * The migration service without the rest of the toolkit: every start of an application pays for what is loaded here.
 * Nothing is opened yet.
 */
export function openMigrations(
  config: Config,
  options: {
    readonly application: Application | undefined;
    readonly auditFile: string | undefined;
    readonly logger?: Logger;
    /** Takes a safety backup, when one is asked for. */
    readonly backup: Parameters<typeof createMigrationService>[0]["backup"];
  },
): OpenedMigrations {
  const { application, auditFile, logger = noLogger, backup } = options;
  const events = createEvents((error, event) => logger.error({ err: error, event }, "an event listener failed"));
  const audit = createAuditTrail({ file: auditFile, actor: userInfo().username, clock: systemClock, events });
  let pool: Pool | undefined;
  const db = (): Pool => (pool ??= createPool(poolOptionsOf(config, logger.child({ service: "pool" }))));
  const migrations = createMigrationService({ application, audit, readOnly: false, db, config, backup });
  return {
    migrations,
    get pool() {
      return pool;
    },
    [Symbol.asyncDispose]: async () => {
      await pool?.stop({ timeoutMs: 10_000 });
    },
  };
}
