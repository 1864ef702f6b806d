import { type Database, type Metrics, noMetrics } from "@db/core";
import {
  applyMigrations,
  type ApplyOptions,
  applyRepair,
  buildCatalog,
  type ColumnChange,
  type CreatedColumnChange,
  type CreatedMigration,
  createColumnChange,
  createMigrationFile,
  detectDrift,
  type DriftOptions,
  type DriftReport,
  emptyCatalog,
  lintMigrations,
  type LintOptions,
  type LintReport,
  type MigrationPlan,
  type MigrationReport,
  type MigrationStatus,
  MigrationOptionsError,
  migrationStatus,
  pauseBackfill,
  planBaseline,
  planSquash,
  proveReversals,
  planCancel,
  planMigrations,
  type PlanOptions,
  planRepair,
  planRollback,
  type RepairPlan,
  type RepairReport,
  type ReversalOptions,
  type ReversalReport,
  type RollbackOptions,
  type SquashPlan,
  switchVersion,
  verifyMigrations,
  type VerifyReport,
  type VersionSwitch,
} from "@db/migrate";
import type { Config } from "@db/config";
import type { Application } from "./application.ts";
import type { AuditTrail } from "./audit.ts";
import { applyReset, planReset, type ResetPlan } from "./database-reset.ts";
import { ReadOnlyError } from "./errors.ts";
import { shadowDatabases } from "./shadow-database.ts";

type Folder = Pick<Partial<PlanOptions>, "directory" | "placeholders">;

/** Schema migrations, with the configured folder, history and limits. Every change is in the audit trail. */
export interface MigrationService {
  readonly directory: string;
  status(options?: Folder): Promise<MigrationStatus>;
  plan(options?: Partial<PlanOptions>): Promise<MigrationPlan>;
  planRollback(options?: Partial<RollbackOptions>): Promise<MigrationPlan>;
  /** With `proof`, the migrations run in an empty database first and what differs from this one blocks the plan. */
  planBaseline(to: string, options?: Folder & { readonly proof?: boolean }): Promise<MigrationPlan>;
  /** Takes back an online migration that is not contracted yet. */
  planCancel(options?: Folder & { readonly migration?: string }): Promise<MigrationPlan>;
  /** Forward or back, so that `to` is the newest applied migration afterwards. */
  planTo(to: string, options?: Partial<RollbackOptions>): Promise<MigrationPlan>;
  apply(plan: MigrationPlan, options?: MigrationApplyOptions): Promise<MigrationReport>;
  verify(options?: Folder): Promise<VerifyReport>;
  /** With `shadow`, held against what the files up to the newest applied one make in an empty database. */
  drift(options?: DriftOptions & Folder & { readonly shadow?: boolean }): Promise<DriftReport>;
  /** Judges what is pending against the database as it is; with `all` the whole folder, for which none is asked. */
  lint(options?: Folder & Pick<LintOptions, "advice" | "sizes"> & { readonly all?: boolean }): Promise<LintReport>;
  /** Runs every migration up, down and up again in empty databases on the same server. */
  proveReversals(options?: Folder & Pick<ReversalOptions, "onProgress" | "signal">): Promise<ReversalReport>;
  /** Puts the migrations up to one into one file, proved in empty databases on the same server. */
  planSquash(to: string, options?: Folder & { readonly signal?: AbortSignal }): Promise<SquashPlan>;
  planRepair(options?: Folder): Promise<RepairPlan>;
  repair(plan: RepairPlan, options?: Parameters<typeof applyRepair>[2]): Promise<RepairReport>;
  /** Asks the backfill under way to stop after its batch. */
  pause(): Promise<number>;
  /** Points new sessions at another version of the schema. */
  switchVersion(target: VersionSwitch): Promise<{ readonly previous: string | null }>;
  /** Writes an online migration for a column. */
  createChange(
    change: ColumnChange,
    options: Folder & { readonly name: string; readonly dryRun?: boolean },
  ): Promise<CreatedColumnChange>;
  planReset(): Promise<ResetPlan>;
  /** Empties the database: every schema goes, the history with it. */
  reset(plan: ResetPlan): Promise<void>;
  create(name: string, options?: Folder & { readonly dryRun?: boolean }): Promise<CreatedMigration>;
}

/** How the toolkit applies a plan. */
export interface MigrationApplyOptions extends ApplyOptions {
  /** Takes a full backup under the migration lock, before the first change. Default false. */
  readonly safetyBackup?: boolean;
}

export function createMigrationService(options: {
  /** Asked for when the database is: making a file needs none. */
  readonly db: () => Database;
  readonly config: Config;
  readonly application: Application | undefined;
  readonly audit: AuditTrail;
  readonly readOnly: boolean;
  readonly metrics?: Metrics;
  /** Takes the safety backup. */
  readonly backup: (options: Pick<ApplyOptions, "onProgress" | "signal">) => Promise<unknown>;
}): MigrationService {
  const { db, config, application, audit, readOnly, metrics = noMetrics, backup } = options;
  const { schema, table, lockTimeoutMs, statementTimeoutMs } = config.migrate;
  const directory = application?.migrationsDirectory ?? config.migrate.directory;
  const defaults = { directory, schema, table, lockTimeoutMs, statementTimeoutMs };
  const status = async (folder: Folder = {}): Promise<MigrationStatus> => {
    const standing = await migrationStatus(db(), { directory, schema, table, ...folder });
    // Another folder than the one that is deployed says nothing of what the deployed code waits for.
    if ((folder.directory ?? directory) === directory) metrics.gauge("db_migrate_pending", standing.pending);
    return standing;
  };
  return {
    directory,
    status,
    plan: (given = {}) => planMigrations(db(), { ...defaults, ...given }),
    planRollback: (given = {}) => planRollback(db(), { ...defaults, ...given }),
    planBaseline: (to, { proof = false, ...folder } = {}) =>
      planBaseline(db(), {
        directory,
        schema,
        table,
        ...folder,
        to,
        ...(proof ? { createDatabase: shadowDatabases(config, db) } : {}),
      }),
    planCancel: (given = {}) => planCancel(db(), { ...defaults, ...given }),
    async planTo(to, given = {}) {
      const { migrations } = await migrationStatus(db(), { directory, schema, table, ...given });
      const target = to.replace(/\.[a-z]+$/, "");
      const applied = migrations.find(({ id, version, state }) => {
        const isIt = id === target || (/^\d+$/.test(target) && version !== "R" && BigInt(version) === BigInt(target));
        return isIt && (state === "applied" || state === "changed" || state === "missing");
      });
      return applied
        ? planRollback(db(), { ...defaults, ...given, to: applied.id })
        : planMigrations(db(), { ...defaults, ...given, to });
    },
    verify: (folder = {}) => verifyMigrations(db(), { directory, schema, table, ...folder }),
    async drift({ shadow = false, directory: other = directory, placeholders, ...given } = {}) {
      if (!shadow) return detectDrift(db(), { schema, table, ...given });
      const files = { directory: other, ...(placeholders ? { placeholders } : {}) };
      const { current, pending, migrations } = await status(files);
      if (pending > 0 && migrations.some(({ version, state }) => version === "R" && state === "applied")) {
        throw new MigrationOptionsError(`${pending} migrations are pending, and repeatable ones run after them`, {
          hint: "Apply them first, or compare with what the last run left: without --shadow.",
        });
      }
      const to = pending === 0 || current === null ? {} : { to: current };
      const createDatabase = shadowDatabases(config, db);
      const expected =
        current === null ? emptyCatalog : await buildCatalog({ ...files, ...to, schema, table, createDatabase });
      return detectDrift(db(), { schema, table, ...given, expected });
    },
    async lint({ all = false, directory: other = directory, advice = false, sizes } = {}) {
      const given = { directory: other, schema, table, advice, ...(sizes ? { sizes } : {}) };
      if (all) return lintMigrations(given);
      const { migrations } = await migrationStatus(db(), { directory: other, schema, table });
      const done = new Set(["applied", "changed", "missing"]);
      const only = migrations.filter(({ state }) => !done.has(state)).map(({ id }) => id);
      return lintMigrations({ ...given, only, db: db() });
    },
    proveReversals: ({ directory: other = directory, ...given } = {}) =>
      proveReversals({ directory: other, schema, table, createDatabase: shadowDatabases(config, db), ...given }),
    planSquash: (to, { directory: other = directory, ...given } = {}) =>
      planSquash({ directory: other, schema, table, to, createDatabase: shadowDatabases(config, db), ...given }),
    planRepair: (folder = {}) => planRepair(db(), { directory, schema, table, ...folder }),
    async repair(plan, given = {}) {
      if (readOnly) throw new ReadOnlyError("repairing the history");
      return audit.run(
        "migration.repair",
        () => applyRepair(db(), plan, given),
        ({ done }) => ({ actions: done }),
      );
    },
    async pause() {
      if (readOnly) throw new ReadOnlyError("pausing a backfill");
      return pauseBackfill(db(), { schema, table });
    },
    async switchVersion(target) {
      if (readOnly) throw new ReadOnlyError("switching the version of the schema");
      return audit.run(
        "migration.switch",
        () => switchVersion(db(), target),
        ({ previous }) => ({ to: target.viewSchema ?? target.baseSchema, previous: previous ?? "" }),
      );
    },
    createChange: (change, { directory: other = directory, name, dryRun = false }) =>
      createColumnChange(db(), change, { directory: other, name, dryRun }),
    planReset: () => planReset(db()),
    async reset(plan) {
      if (readOnly) throw new ReadOnlyError("resetting the database");
      await audit.run(
        "database.reset",
        () => applyReset(db(), plan),
        () => ({ schemas: plan.schemas.map(({ name }) => name) }),
      );
    },
    async apply(plan, { safetyBackup = false, ...given } = {}) {
      if (readOnly) throw new ReadOnlyError("applying migrations");
      const { onProgress, signal, beforeApply } = given;
      const collaborators = { ...(onProgress ? { onProgress } : {}), ...(signal ? { signal } : {}) };
      const applying: ApplyOptions = safetyBackup
        ? { ...given, beforeApply: async (due) => void (await beforeApply?.(due), await backup(collaborators)) }
        : given;
      try {
        return await audit.run(
          plan.direction === "down" ? "migration.down" : "migration.apply",
          () => applyMigrations(db(), plan, { metrics, ...applying }),
          (report) => ({ migrations: plan.migrations.map(({ id }) => id), durationMs: report.durationMs }),
        );
      } finally {
        // Asked only where somebody keeps what is pending; the outcome is that of the migrations alone.
        if (metrics !== noMetrics) await status().catch(() => undefined);
      }
    },
    create: (name, { directory: other = directory, dryRun = false } = {}) =>
      createMigrationFile({ directory: other, name, dryRun }),
  };
}
