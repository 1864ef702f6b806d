import { type ScriptFlag } from "@db/orchestrator";
import { parseDurationMs, systemClock } from "@db/core";
import { recordUse } from "../use.ts";
import { BaseDatabaseScript, type ScriptContext, type ScriptResult } from "./base-script.ts";

/** What one look found. Durations are milliseconds. */
export interface HealthCheckReport {
  readonly status: "healthy" | "degraded" | "unhealthy";
  /** ISO 8601. */
  readonly timestamp: string;
  readonly orchestrator: { readonly initialized: boolean };
  readonly connections: { readonly primary: boolean; readonly replicas: boolean; readonly total: number };
  readonly performance: { readonly averageQueryTime: number; readonly errorRate: number; readonly slowQueries: number };
  readonly monitoring: { readonly enabled: boolean; readonly running: boolean };
  readonly benchmark?: { readonly acquire: number; readonly simpleQuery: number };
  readonly issues: readonly string[];
  readonly recommendations: readonly string[];
}

const benchmarkRuns = 20;

/** Looks at orchestrator, connections, performance and monitoring: once, or again and again with `--continuous`. */
export class EnhancedHealthCheckScript extends BaseDatabaseScript {
  constructor() {
    super("enhanced-health-check", "Checks orchestrator, connections, performance and monitoring");
    recordUse("EnhancedHealthCheckScript");
  }

  protected override flags(): Readonly<Record<string, ScriptFlag>> {
    return {
      benchmark: { type: "boolean", summary: "measure how long acquiring and a simple query take" },
      continuous: { type: "boolean", summary: "again and again until Ctrl-C or --timeout" },
      interval: { type: "string", value: "<duration>", summary: 'pause between two looks; default "30s"' },
    };
  }

  async execute(context: ScriptContext): Promise<ScriptResult> {
    const { options, logger, signal, print } = context;
    if (options.dryRun) {
      const checks = ["orchestrator", "connections", "performance", "monitoring"];
      return { success: true, message: `would check ${checks.join(", ")}`, data: { checks } };
    }
    const { interval = "30s", continuous = false } = options as { interval?: string; continuous?: boolean };
    const pauseMs = parseDurationMs(interval);
    for (;;) {
      const report = await look(context);
      for (const line of linesOf(report)) print(line);
      if (!continuous) {
        const success = report.status !== "unhealthy";
        return { success, message: `the database is ${report.status}`, data: report, warnings: report.issues };
      }
      logger.info(`the database is ${report.status}`, { ...report });
      await systemClock.sleep(pauseMs, signal);
    }
  }
}

async function look({ orchestrator, config, options }: ScriptContext): Promise<HealthCheckReport> {
  const { enabled } = config.getMonitoringConfig();
  try {
    await orchestrator.initialize();
  } catch (error) {
    return unreachable(enabled, error);
  }
  const health = await orchestrator.getHealthMonitor().performHealthCheck();
  const { connections, services } = await orchestrator.getStatus();
  const metrics = await orchestrator.getMetrics();
  return {
    status: health.status,
    timestamp: new Date().toISOString(),
    orchestrator: { initialized: orchestrator.isInitialized() },
    connections: { ...connections, total: metrics.connections.total },
    performance: metrics.performance,
    monitoring: { enabled, running: services.healthMonitor },
    ...(options["benchmark"] === true ? { benchmark: await measure(orchestrator) } : {}),
    issues: health.issues,
    recommendations: recommend(health.issues, enabled),
  };
}

/** The report for people. */
function linesOf({ timestamp, status, ...of }: HealthCheckReport): readonly string[] {
  const { connections, performance, monitoring, benchmark } = of;
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  const watched = monitoring.running ? "running" : monitoring.enabled ? "on, not running" : "off";
  const speed =
    benchmark && `benchmark     acquire ${ms(benchmark.acquire)}, simple query ${ms(benchmark.simpleQuery)}`;
  return [
    `${timestamp}  ${status}`,
    `connections   primary ${connections.primary ? "up" : "down"}, replicas ${connections.replicas ? "up" : "none up"}, ${connections.total} open`,
    `performance   ${ms(performance.averageQueryTime)} a query, ${performance.slowQueries} slow, ${(performance.errorRate * 100).toFixed(1)} % failed`,
    `monitoring    ${watched}`,
    ...(speed === undefined ? [] : [speed]),
    ...of.recommendations.map((advice) => `to do         ${advice}`),
  ];
}

function recommend(issues: readonly string[], monitored: boolean): readonly string[] {
  return [
    ...issues.map((issue) => `Look into ${issue}`),
    ...(monitored ? [] : ["Switch monitoring on: DB_MONITORING_ENABLED=true."]),
  ];
}

function unreachable(enabled: boolean, error: unknown): HealthCheckReport {
  const issue = error instanceof Error ? error.message : String(error);
  return {
    status: "unhealthy",
    timestamp: new Date().toISOString(),
    orchestrator: { initialized: false },
    connections: { primary: false, replicas: false, total: 0 },
    performance: { averageQueryTime: 0, errorRate: 0, slowQueries: 0 },
    monitoring: { enabled, running: false },
    issues: [issue],
    recommendations: ["See that the server runs and can be reached from here."],
  };
}

/** Medians. */
async function measure(orchestrator: ScriptContext["orchestrator"]): Promise<{ acquire: number; simpleQuery: number }> {
  const pool = orchestrator.getConnectionManager().getPool();
  const median = async (work: () => Promise<unknown>): Promise<number> => {
    const times: number[] = [];
    for (let run = 0; run < benchmarkRuns; run += 1) {
      const startedAt = performance.now();
      await work();
      times.push(performance.now() - startedAt);
    }
    return times.toSorted((a, b) => a - b)[benchmarkRuns / 2]!;
  };
  return {
    acquire: await median(async () => (await pool.connect()).release()),
    simpleQuery: await median(() => pool.query("select 1")),
  };
}
