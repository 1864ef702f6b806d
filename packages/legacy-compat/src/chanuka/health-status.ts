import { messageOf } from "@db/core";
import type { Host } from "../host.ts";
import type { DatabaseServices } from "./services.ts";

export type ComponentStatus = "healthy" | "warning" | "critical";

export interface ComponentHealth {
  readonly status: ComponentStatus;
  /** One sentence. */
  readonly message: string;
  readonly lastCheck: Date;
}

export interface DatabaseHealthStatus {
  /** The worst of the components. */
  readonly overall: ComponentStatus;
  readonly components: {
    readonly connection: ComponentHealth;
    readonly migrations: ComponentHealth;
    readonly performance: ComponentHealth;
    readonly backup: ComponentHealth;
    readonly validation: ComponentHealth;
  };
  readonly lastCheck: Date;
  /** What to do, worst first; one sentence that all is well when there is nothing to do. */
  readonly recommendations: readonly string[];
}

type Verdict = readonly [status: ComponentStatus, message: string, recommendation?: string];

const dayMs = 86_400_000;
const leastScore = 90;
const rank: Readonly<Record<ComponentStatus, number>> = { critical: 0, warning: 1, healthy: 2 };

/** Looks at every component, each on its own: one that cannot be looked at is critical and hides no other. */
export async function readHealthStatus(host: Host, services: DatabaseServices): Promise<DatabaseHealthStatus> {
  const lastCheck = new Date();
  const looks = {
    connection: () => connectionVerdict(host),
    migrations: () => migrationVerdict(services),
    performance: () => performanceVerdict(host),
    backup: () => backupVerdict(host, services),
    validation: () => validationVerdict(host, services),
  };
  const verdicts = await Promise.all(
    Object.entries(looks).map(async ([name, look]): Promise<readonly [string, Verdict]> => {
      try {
        return [name, await look()];
      } catch (error) {
        return [name, ["critical", `cannot be checked: ${messageOf(error)}`, `Make the check of ${name} work.`]];
      }
    }),
  );
  const components = Object.fromEntries(
    verdicts.map(([name, [status, message]]) => [name, { status, message, lastCheck }]),
  ) as unknown as DatabaseHealthStatus["components"];
  const sorted = verdicts.map(([, verdict]) => verdict).toSorted((a, b) => rank[a[0]] - rank[b[0]]);
  const advice = sorted.flatMap(([, , recommendation]) => recommendation ?? []);
  return {
    overall: sorted[0]![0],
    components,
    lastCheck,
    recommendations: advice.length > 0 ? advice : ["Nothing is to be done: every component is healthy."],
  };
}

async function connectionVerdict(host: Host): Promise<Verdict> {
  const { pool } = host.orchestrator;
  await pool.query("select 1");
  const { status, checks } = pool.health();
  const { checkedOut, total } = pool.stats();
  if (status === "pass") return ["healthy", `${checkedOut} of ${total} connections in use`];
  const said = checks.filter((check) => check.status !== "pass").map(({ name, output }) => `${name}: ${output ?? ""}`);
  return [status === "fail" ? "critical" : "warning", said.join("; "), "Look at the servers named in the message."];
}

async function migrationVerdict({ migrationManager }: DatabaseServices): Promise<Verdict> {
  const { pending, current, findings } = await migrationManager.getMigrationStatus();
  const critical = findings.filter(({ severity }) => severity === "critical");
  if (critical.length > 0) {
    return ["critical", critical.map(({ title }) => title).join("; "), "Mend the migrations before going on."];
  }
  if (pending > 0)
    return [
      "warning",
      pending === 1 ? "1 migration is pending" : `${pending} migrations are pending`,
      "Apply the pending migrations.",
    ];
  return ["healthy", current === null ? "there are no migrations" : `every migration is applied, up to ${current}`];
}

async function performanceVerdict(host: Host): Promise<Verdict> {
  const { monitor } = host.orchestrator;
  await monitor.collect({ maxAgeMs: host.config.monitor.intervalMs });
  const alerts = monitor.alerts().filter(({ state }) => state === "firing");
  if (alerts.length === 0) return ["healthy", "no alert fires"];
  const isCritical = alerts.some(({ severity }) => severity === "page");
  const titles = alerts.map(({ title }) => title).join("; ");
  return [isCritical ? "critical" : "warning", titles, alerts[0]!.hint];
}

async function backupVerdict(host: Host, { backupRecovery }: DatabaseServices): Promise<Verdict> {
  const backups = await backupRecovery.listBackups();
  const recent = backups.filter(({ timestamp }) => Date.now() - timestamp.getTime() < dayMs);
  if (recent.length > 0) return ["healthy", `${recent.length} backups within 24 hours`];
  if (host.config.backup.schedule.full === false) return ["healthy", "backups are switched off"];
  return ["critical", "no backup within 24 hours", "Take a backup, and see that the schedule runs."];
}

async function validationVerdict(host: Host, { validation }: DatabaseServices): Promise<Verdict> {
  const rules = await host.orchestrator.validation.rules();
  if (rules.length === 0) return ["healthy", "there are no validation rules"];
  const { overallScore, criticalViolations } = await validation.runValidation();
  if (criticalViolations > 0) {
    return ["critical", `${criticalViolations} critical rules fail`, "Mend the data that breaks critical rules."];
  }
  const score = `data quality score ${overallScore.toFixed(1)}`;
  return overallScore < leastScore ? ["warning", score, "Look at the failed validation rules."] : ["healthy", score];
}
