import type {
  IndexRecommendation,
  IndexReport,
  Jobs,
  MigrationReport,
  MigrationStatus,
  Monitor,
  Snapshot,
  ValidationReport,
} from "@db/orchestrator";
import { type BackupMetadata, backupMetadata } from "../backup-metadata.ts";
import type { Host } from "../host.ts";
import type { UnifiedConnectionManager } from "./connection-manager.ts";

/** The new report, with the sums that the old one had. */
export type LegacyValidationReport = ValidationReport & {
  /** 0 to 100; `NaN` when no rule could be checked. */
  readonly overallScore: number;
  readonly totalRules: number;
  readonly passedRules: number;
  readonly failedRules: number;
  /** Failed rules of critical severity. */
  readonly criticalViolations: number;
};

/** The new report, with the names that the old one had. */
export type LegacyIndexReport = IndexReport & {
  readonly totalIndexes: number;
  readonly unusedIndexes: number;
  readonly missingIndexes: readonly IndexRecommendation[];
};

export interface MonitoringService {
  /** What is known now; asks no server. */
  getCurrentMetrics(): Snapshot;
  /** Reads every server now. */
  collectMetrics(): Promise<Snapshot>;
  getActiveAlerts(): ReturnType<Monitor["alerts"]>;
}

/** The services of the process under their old names. Each works when it is called. */
export interface DatabaseServices {
  readonly connectionPool: UnifiedConnectionManager;
  readonly migrationManager: {
    getMigrationStatus(): Promise<MigrationStatus>;
    /** Plans and applies what is pending. */
    runMigrations(): Promise<MigrationReport>;
    validateMigrations(): Promise<{ readonly valid: boolean; readonly issues: readonly string[] }>;
  };
  readonly indexOptimizer: { analyzeIndexes(): Promise<LegacyIndexReport> };
  readonly backupRecovery: {
    createFullBackup(): Promise<BackupMetadata>;
    /** Newest first. */
    listBackups(): Promise<readonly BackupMetadata[]>;
  };
  readonly monitoring: MonitoringService;
  readonly validation: { runValidation(): Promise<LegacyValidationReport> };
  /** What is scheduled; new beside the old services. */
  readonly jobs: Jobs["states"];
}

export function servicesOf(host: Host, connectionPool: UnifiedConnectionManager): DatabaseServices {
  return {
    connectionPool,
    migrationManager: {
      getMigrationStatus: () => host.orchestrator.migrations.status(),
      runMigrations: async () => {
        const { migrations } = host.orchestrator;
        return migrations.apply(await migrations.plan());
      },
      validateMigrations: async () => {
        const { findings } = await host.orchestrator.migrations.status();
        const issues = findings.filter(({ severity }) => severity === "critical").map(({ title }) => title);
        return { valid: issues.length === 0, issues };
      },
    },
    indexOptimizer: {
      analyzeIndexes: async () => {
        const report = await host.orchestrator.indexes.analyze();
        return {
          ...report,
          totalIndexes: report.indexes,
          unusedIndexes: report.unused.length,
          missingIndexes: report.recommendations,
        };
      },
    },
    backupRecovery: {
      createFullBackup: async () => {
        const { backups } = host.orchestrator;
        return backupMetadata(await backups.run(), backups.location);
      },
      listBackups: async () => {
        const { backups } = host.orchestrator;
        return (await backups.list()).map((info) => backupMetadata(info, backups.location));
      },
    },
    monitoring: {
      getCurrentMetrics: () => host.orchestrator.monitor.snapshot(),
      collectMetrics: () => host.orchestrator.monitor.collect(),
      getActiveAlerts: () => host.orchestrator.monitor.alerts(),
    },
    validation: {
      runValidation: async () => {
        const report = await host.orchestrator.validation.run();
        const { counts, results, score } = report;
        return {
          ...report,
          overallScore: score ?? Number.NaN,
          totalRules: results.length,
          passedRules: counts.passed + counts.proved,
          failedRules: counts.failed,
          criticalViolations: results.filter(({ status, severity }) => status === "failed" && severity === "critical")
            .length,
        };
      },
    },
    get jobs() {
      return host.orchestrator.jobs.states;
    },
  };
}
