import { userInfo } from "node:os";
import type { Config } from "@db/config";
import {
  type Clock,
  type HealthCheck,
  type HealthStatus,
  type Logger,
  messageOf,
  noLogger,
  redactUrls,
  type Service,
  systemClock,
  worstStatus,
} from "@db/core";
import { createProcessMetrics, createTableHistory, createTableSilences, type Monitor } from "@db/monitor";
import { createPool, type Pool } from "@db/pool";
import type { Application } from "./application.ts";
import { type AlertService, createAlertService } from "./alert-service.ts";
import { type AuditTrail, createAuditTrail } from "./audit.ts";
import { type BackupService, createBackupService } from "./backup-service.ts";
import { createDumpService, type DumpService } from "./dump-service.ts";
import { OrchestratorClosedError } from "./errors.ts";
import { createEvents, type Events } from "./events.ts";
import { createHealthWatch } from "./health-watch.ts";
import { createIndexService, type IndexService } from "./index-service.ts";
import { createJobs, type Jobs } from "./jobs.ts";
import { createLifecycle, type ServiceNode } from "./lifecycle.ts";
import { createMigrationService, type MigrationService } from "./migration-service.ts";
import { createMigrationWatch } from "./migration-watch.ts";
import { createMonitoring, type Monitoring } from "./monitoring.ts";
import { poolOptionsOf } from "./pool-options.ts";
import { createReportService, type ReportService } from "./report-service.ts";
import { scheduledJobs } from "./schedule.ts";
import { createSessionService, type SessionService } from "./session-service.ts";
import { createValidationService, type ValidationService } from "./validation-service.ts";
import { createWalService, type WalService } from "./wal-service.ts";

/** What can be started; everything else works when it is called. */
export type ServiceName = "pool" | "migrations" | "monitoring" | "health" | "jobs";

/** Durations are milliseconds. */
export interface OrchestratorOptions {
  /** Migrations, rules, indexes and example data of the product. */
  readonly application?: Application | undefined;
  /** Refuses every operation that would change the database. Default `false`. */
  readonly readOnly?: boolean;
  /** File of the audit trail. Default none: kept in memory. */
  readonly auditFile?: string | undefined;
  /** Keeps hourly values of the monitor in the table `db_monitor.history`. Default `monitor.history` of the configuration. */
  readonly keepHistory?: boolean;
  /** Folder of the daily and weekly reports. Default none: then none are made on a schedule. */
  readonly reportsDirectory?: string | undefined;
  /** Who acts, for the audit trail. Default the operating system's user. */
  readonly actor?: string;
  /** The caller's environment, for PATH when PostgreSQL programs are looked for. Default empty. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Longest start of one service. Default 30 000. */
  readonly startTimeoutMs?: number;
  /** Longest stop of one service, after which it is forced. Default 10 000. */
  readonly stopTimeoutMs?: number;
  readonly logger?: Logger;
  readonly clock?: Clock;
}

/** The health of everything that runs. */
export interface AggregateHealth {
  readonly status: HealthStatus;
  readonly checks: readonly HealthCheck[];
  /** ISO 8601. */
  readonly at: string;
}

/**
 * The toolkit, wired. Each part is made on first use and a part that is not used opens no connection; `start` is for
 * what works in the background. Closing stops everything in the reverse order, each bounded in time.
 */
export interface Orchestrator extends AsyncDisposable {
  readonly config: Config;
  readonly application: Application | undefined;
  readonly readOnly: boolean;
  readonly events: Events;
  readonly audit: AuditTrail;
  readonly pool: Pool;
  readonly migrations: MigrationService;
  readonly backups: BackupService;
  readonly dumps: DumpService;
  readonly wal: WalService;
  readonly validation: ValidationService;
  readonly indexes: IndexService;
  readonly monitor: Monitor;
  readonly alerts: AlertService;
  readonly sessions: SessionService;
  readonly reports: ReportService;
  readonly jobs: Jobs;
  /** Starts services and what they depend on. @throws {ServiceStartError} */
  start(names: readonly ServiceName[], signal?: AbortSignal): Promise<void>;
  /** From what the running services know; asks no server. */
  health(): Promise<AggregateHealth>;
  /** Names of what has been made so far. */
  readonly used: readonly string[];
  /** Stops everything. May be called again. @throws {ServiceStopError} after all were asked */
  close(): Promise<void>;
}

/** Makes an orchestrator. Nothing is opened yet. */
export function createOrchestrator(config: Config, options: OrchestratorOptions = {}): Orchestrator {
  return new Wiring(config, options);
}

class Wiring implements Orchestrator {
  readonly config: Config;
  readonly application: Application | undefined;
  readonly readOnly: boolean;
  readonly events: Events;
  readonly audit: AuditTrail;
  readonly #options: OrchestratorOptions;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #lifecycle;
  readonly #made = new Map<string, unknown>();
  readonly #metrics = createProcessMetrics();
  #lastStatus: HealthStatus | undefined;
  #closed: Promise<void> | undefined;

  constructor(config: Config, options: OrchestratorOptions) {
    this.config = config;
    this.application = options.application;
    this.readOnly = options.readOnly ?? false;
    this.#options = options;
    this.#logger = options.logger ?? noLogger;
    this.#clock = options.clock ?? systemClock;
    this.events = createEvents((error, name) =>
      this.#logger.error({ err: error, event: name }, "an event listener failed"),
    );
    const actor = options.actor ?? userInfo().username;
    this.audit = createAuditTrail({ file: options.auditFile, actor, clock: this.#clock, events: this.events });
    this.#lifecycle = createLifecycle(this.#nodes(), {
      events: this.events,
      logger: this.#logger,
      startTimeoutMs: options.startTimeoutMs ?? 30_000,
      stopTimeoutMs: options.stopTimeoutMs ?? 10_000,
    });
  }

  get pool(): Pool {
    return this.#once("pool", () => createPool(poolOptionsOf(this.config, this.#logger.child({ service: "pool" }))));
  }

  get migrations(): MigrationService {
    return this.#once("migrations", () =>
      createMigrationService({
        ...this.#shared(),
        db: () => this.pool,
        config: this.config,
        metrics: this.#metrics,
        backup: (call) => this.backups.run(call),
      }),
    );
  }

  get backups(): BackupService {
    const { env = {} } = this.#options;
    return this.#once("backups", () =>
      createBackupService({
        audit: this.audit,
        db: () => this.pool,
        config: this.config,
        events: this.events,
        clock: this.#clock,
        logger: this.#logger,
        metrics: this.#metrics,
        env,
      }),
    );
  }

  get dumps(): DumpService {
    const { env = {} } = this.#options;
    const { audit, config } = this;
    return this.#once("dumps", () =>
      createDumpService({ audit, config, clock: this.#clock, logger: this.#logger.child({ service: "dumps" }), env }),
    );
  }

  get wal(): WalService {
    return this.#once("wal", () =>
      createWalService({
        audit: this.audit,
        backups: () => this.backups,
        config: this.config,
        clock: this.#clock,
        metrics: this.#metrics,
        logger: this.#logger.child({ service: "wal" }),
      }),
    );
  }

  get validation(): ValidationService {
    return this.#once("validation", () =>
      createValidationService({ ...this.#shared(), db: this.pool, config: this.config, metrics: this.#metrics }),
    );
  }

  get indexes(): IndexService {
    return this.#once("indexes", () => {
      const hasReplicas = this.config.features.readReplicas && (this.config.connection?.replicaUrls.length ?? 0) > 0;
      return createIndexService({ ...this.#shared(), db: this.pool, replicas: hasReplicas ? [this.pool.replica] : [] });
    });
  }

  get monitor(): Monitor {
    return this.#monitoring.monitor;
  }

  get alerts(): AlertService {
    return this.#once("alerts", () =>
      createAlertService({
        monitor: () => this.monitor,
        audit: this.audit,
        readOnly: this.readOnly,
        kept: this.#keepsHistory,
      }),
    );
  }

  get sessions(): SessionService {
    return this.#once("sessions", () =>
      createSessionService({ db: () => this.#monitoring.db, audit: this.audit, readOnly: this.readOnly }),
    );
  }

  get reports(): ReportService {
    return this.#once("reports", () => createReportService(this, this.#options.reportsDirectory));
  }

  get jobs(): Jobs {
    return this.#once("jobs", () =>
      createJobs(scheduledJobs(this, this.#options.reportsDirectory !== undefined), {
        events: this.events,
        logger: this.#logger.child({ service: "jobs" }),
      }),
    );
  }

  get used(): readonly string[] {
    return [...this.#made.keys()];
  }

  async start(names: readonly ServiceName[], signal?: AbortSignal): Promise<void> {
    if (this.#closed) throw new OrchestratorClosedError();
    await this.#lifecycle.start(names, signal);
  }

  async health(): Promise<AggregateHealth> {
    const time = new Date(this.#clock.now()).toISOString();
    const checks: HealthCheck[] = [];
    for (const service of this.#lifecycle.running) {
      try {
        checks.push(...(await service.health()).checks);
      } catch (error) {
        // A service that cannot even say how it is does not get to hide it.
        this.#logger.error({ err: error, service: service.name }, "health could not be read");
        checks.push({ name: `${service.name}:health`, status: "fail", time, output: redactUrls(messageOf(error)) });
      }
    }
    const status = worstStatus(checks.map((check) => check.status));
    if (status !== this.#lastStatus) this.events.emit("health:changed", { from: this.#lastStatus, to: status });
    this.#lastStatus = status;
    return { status, checks, at: time };
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      try {
        await this.#lifecycle.stop();
      } finally {
        // What was used without being started has connections too.
        const monitoring = this.#made.get("monitoring") as Monitoring | undefined;
        await monitoring?.close();
        const pool = this.#made.get("pool") as Pool | undefined;
        await pool?.stop({ timeoutMs: this.#options.stopTimeoutMs ?? 10_000 });
      }
    })();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #keepsHistory(): boolean {
    return this.#options.keepHistory ?? this.config.monitor.history;
  }

  get #monitoring(): Monitoring {
    return this.#once("monitoring", () =>
      createMonitoring({
        config: this.config,
        pool: this.pool,
        events: this.events,
        clock: this.#clock,
        metrics: this.#metrics,
        ...(this.#keepsHistory && {
          history: createTableHistory({ db: this.pool }),
          silences: createTableSilences({ db: this.pool }),
        }),
        logger: this.#logger.child({ service: "monitoring" }),
      }),
    );
  }

  #nodes(): readonly ServiceNode[] {
    const node = (name: ServiceName, dependsOn: readonly ServiceName[], create: () => Service): ServiceNode => ({
      name,
      dependsOn,
      create,
    });
    return [
      node("pool", [], () => this.pool),
      node("migrations", ["pool"], () =>
        createMigrationWatch(() => this.migrations.status(), this.#logger.child({ service: "migrations" })),
      ),
      node("monitoring", ["pool", "migrations"], () => this.monitor),
      node("health", ["pool"], () =>
        createHealthWatch(this.pool, () => this.health(), this.config.pool.healthCheckIntervalMs),
      ),
      node("jobs", ["pool"], () => this.jobs),
    ];
  }

  #shared() {
    return { application: this.application, audit: this.audit, readOnly: this.readOnly };
  }

  #once<T>(name: string, make: () => T): T {
    if (!this.#made.has(name)) {
      if (this.#closed) throw new OrchestratorClosedError();
      this.#made.set(name, make());
    }
    return this.#made.get(name) as T;
  }
}
