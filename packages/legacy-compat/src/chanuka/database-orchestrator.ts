import { backgroundServices, createHost, type Host, processHost, startHost } from "../host.ts";
import { recordUse } from "../use.ts";
import { processManager, UnifiedConnectionManager } from "./connection-manager.ts";
import { type HealthSummary, UnifiedHealthMonitor } from "./health-monitor.ts";

export interface DatabaseOrchestrationConfig {
  /** Default true. */
  readonly autoInitialize?: boolean;
  /** Default: what the configuration says. */
  readonly enableHealthMonitoring?: boolean;
}

export interface DatabaseStatus {
  readonly initialized: boolean;
  readonly healthy: boolean;
  readonly connections: { readonly primary: boolean; readonly replicas: boolean };
  readonly services: { readonly healthMonitor: boolean };
  readonly lastHealthCheck: Date;
  /** Milliseconds. */
  readonly uptime: number;
}

export interface OrchestratorMetrics {
  readonly connections: {
    readonly total: number;
    readonly active: number;
    readonly idle: number;
    readonly waiting: number;
  };
  readonly performance: {
    /** Milliseconds. */
    readonly averageQueryTime: number;
    readonly slowQueries: number;
    /** Failed queries as a share of all, 0 to 1. */
    readonly errorRate: number;
  };
  readonly health: HealthSummary;
}

/** The pool and what watches it, under one lifecycle. */
export class DatabaseOrchestrator {
  readonly #host: Host;
  readonly #manager: UnifiedConnectionManager;
  readonly #monitor: UnifiedHealthMonitor;
  readonly #options: DatabaseOrchestrationConfig;
  #initializedAt: number | undefined;

  /** @internal made by `getDatabaseOrchestrator` and `createDatabaseOrchestrator` */
  constructor(host: Host, manager: UnifiedConnectionManager, options: DatabaseOrchestrationConfig = {}) {
    this.#host = host;
    this.#manager = manager;
    this.#monitor = new UnifiedHealthMonitor(host);
    this.#options = options;
  }

  /** Connects, and starts monitoring where it is on. A second call does nothing. @throws {ServiceStartError} */
  async initialize(): Promise<void> {
    if (this.isInitialized()) return;
    await startHost(this.#host, ["pool"]);
    const { enableHealthMonitoring = backgroundServices(this.#host.orchestrator).length > 0 } = this.#options;
    if (enableHealthMonitoring) await this.#monitor.start();
    this.#initializedAt = Date.now();
  }

  isInitialized(): boolean {
    return this.#initializedAt !== undefined && this.#host.isOpen;
  }

  /** Stops everything, each service within its bound. Called again, it waits for the same end. */
  async shutdown(): Promise<void> {
    this.#initializedAt = undefined;
    this.#monitor.stop();
    await this.#host.close();
  }

  /** Works before `initialize` too: the pool connects on first use. */
  getConnectionManager(): UnifiedConnectionManager {
    return this.#manager;
  }

  getHealthMonitor(): UnifiedHealthMonitor {
    return this.#monitor;
  }

  /** Never throws. */
  async performHealthCheck(): Promise<{ readonly healthy: boolean; readonly issues: readonly string[] }> {
    const { status, issues } = await this.#monitor.performHealthCheck();
    return { healthy: status !== "unhealthy", issues };
  }

  async getStatus(): Promise<DatabaseStatus> {
    const { healthy } = await this.performHealthCheck();
    const servers = this.#host.isOpen ? this.#host.orchestrator.pool.stats().servers : [];
    const isUp = (role: string): boolean => servers.some((server) => server.role === role && server.state === "up");
    return {
      initialized: this.isInitialized(),
      healthy,
      connections: { primary: healthy, replicas: isUp("standby") },
      services: { healthMonitor: this.#monitor.isRunning() },
      lastHealthCheck: new Date(),
      uptime: this.getUptime(),
    };
  }

  async getMetrics(): Promise<OrchestratorMetrics> {
    const stats = this.#host.orchestrator.pool.stats();
    return {
      connections: { total: stats.total, active: stats.checkedOut, idle: stats.idle, waiting: stats.waiting },
      performance: {
        averageQueryTime: stats.averageQueryMs,
        slowQueries: stats.slowQueries,
        errorRate: stats.queries === 0 ? 0 : stats.failedQueries / stats.queries,
      },
      health: this.#monitor.getHealthSummary(),
    };
  }

  /** Since `initialize`, milliseconds. */
  getUptime(): number {
    return this.#initializedAt === undefined ? 0 : Date.now() - this.#initializedAt;
  }
}

let singleton: DatabaseOrchestrator | undefined;

/** The orchestrator of the process, made from the environment. Nothing is opened before its first use. */
export function getDatabaseOrchestrator(): DatabaseOrchestrator {
  recordUse("getDatabaseOrchestrator");
  return (singleton ??= new DatabaseOrchestrator(processHost, processManager()));
}

/** An orchestrator of its own, with a pool of its own. The caller shuts it down. @throws {ServiceStartError} */
export async function createDatabaseOrchestrator(
  options: DatabaseOrchestrationConfig = {},
): Promise<DatabaseOrchestrator> {
  recordUse("createDatabaseOrchestrator");
  const host = createHost();
  const orchestrator = new DatabaseOrchestrator(host, new UnifiedConnectionManager({}, host), options);
  if (options.autoInitialize ?? true) await orchestrator.initialize();
  return orchestrator;
}
