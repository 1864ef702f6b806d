import { type HealthCheck, type HealthStatus, type ServiceHealth, worstStatus } from "@db/core";
import type { PoolStats, ServerStats } from "./stats.ts";

/**
 * Judges the pool by what its probes last saw: no server is asked, so it answers at once even while all are silent.
 *
 * `fail` when no server accepts writes, `warn` when a replica is away or behind, or callers wait for a connection.
 */
export function judgePool(
  stats: PoolStats,
  of: {
    readonly primary: string | undefined;
    readonly maxReplicaLagMs: number;
    readonly closed: boolean;
    readonly now: string;
  },
): ServiceHealth {
  const checks: HealthCheck[] = [];
  const add = (name: string, status: HealthStatus, rest: Partial<HealthCheck> = {}): void => {
    checks.push({ name, status, time: of.now, ...rest });
  };
  if (of.closed) add("pool:open", "fail", { output: "The pool is closing or closed." });
  const primary = stats.servers.find(({ name }) => name === of.primary);
  if (!primary) add("primary:reachable", "fail", { output: "No server accepts writes." });
  else if (!primary.probedAt && primary.reason === undefined) {
    add("primary:reachable", "pass", { output: "Not probed yet." });
  } else addServer(add, "primary", primary, "fail");
  if (primary?.role === "standby") {
    add("primary:role", "warn", {
      observedValue: "standby",
      output: "The only server is in recovery: it cannot write.",
    });
  }
  const replicas = stats.servers.filter((server) => server !== primary);
  for (const [index, replica] of replicas.entries()) {
    const name = `replica-${index + 1}`;
    addServer(add, name, replica, "warn");
    if (replica.lagMs === undefined) continue;
    const late = replica.lagMs > of.maxReplicaLagMs;
    add(`${name}:lag`, late ? "warn" : "pass", {
      observedValue: Math.round(replica.lagMs),
      observedUnit: "ms",
      ...(late ? { output: "Reads are not sent there until it has caught up." } : {}),
    });
  }
  add("connections:utilization", stats.waiting > 0 && stats.utilization >= 1 ? "warn" : "pass", {
    observedValue: Math.round(stats.utilization * 100),
    observedUnit: "percent",
    ...(stats.waiting > 0 ? { output: `${stats.waiting} callers wait for a connection.` } : {}),
  });
  return { status: worstStatus(checks.map(({ status }) => status)), checks };
}

function addServer(
  add: (name: string, status: HealthStatus, rest?: Partial<HealthCheck>) => void,
  name: string,
  server: ServerStats,
  worst: HealthStatus,
): void {
  if (server.state === "up" && server.breaker !== "open") {
    const took = server.probeMs === undefined ? {} : { observedValue: Math.round(server.probeMs * 10) / 10 };
    add(`${name}:reachable`, "pass", { ...took, ...(server.probeMs === undefined ? {} : { observedUnit: "ms" }) });
  } else if (server.state === "suspect") {
    add(`${name}:reachable`, "warn", { output: "The last probe was not answered." });
  } else if (server.state === "refused") {
    add(`${name}:reachable`, worst, { output: "It does not belong to this topology." });
  } else {
    const why = server.breaker === "open" && server.state === "up" ? "Its circuit is open." : "It cannot be reached.";
    add(`${name}:reachable`, worst, { output: why });
  }
}
