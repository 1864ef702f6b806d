import type { BreakerState } from "./breaker.ts";
import { Histogram, type HistogramSnapshot } from "./histogram.ts";
import type { Server, ServerRole, ServerState } from "./server.ts";
import type { Topology } from "./topology.ts";
import type { ProviderStats } from "./topology-provider.ts";

/** One server as the pool sees it now. Plain data. */
export interface ServerStats {
  readonly name: string;
  readonly role: ServerRole;
  readonly state: ServerState;
  readonly breaker: BreakerState;
  /** Why it is not up, in words. */
  readonly reason: string | undefined;
  /** `max`, or fewer since the server said that it was full. */
  readonly allowed: number;
  readonly total: number;
  readonly idle: number;
  readonly checkedOut: number;
  readonly connecting: number;
  readonly waiting: number;
  readonly lagMs: number | undefined;
  readonly lagBytes: number | undefined;
  readonly timeline: number | undefined;
  readonly lsn: string | undefined;
  readonly serverVersion: number | undefined;
  /** When the last good probe answered, ISO 8601, and how long it took. */
  readonly probedAt: string | undefined;
  readonly probeMs: number | undefined;
  readonly connectionsOpened: number;
  readonly connectionsClosed: number;
  readonly connectionsFailed: number;
  readonly acquireTimeouts: number;
  readonly createTime: HistogramSnapshot;
  readonly waitTime: HistogramSnapshot;
  readonly useTime: HistogramSnapshot;
}

/** The pool now and since it was made. Plain data, in the shape monitors read. */
export interface PoolStats {
  /** Most connections per server. */
  readonly max: number;
  readonly min: number;
  readonly total: number;
  readonly idle: number;
  readonly checkedOut: number;
  readonly connecting: number;
  /** Waiting for a connection, or for the pool to go on while it is paused. */
  readonly waiting: number;
  readonly paused: boolean;
  /** Checked out, as a share of what all servers together allow: 0 to 1. */
  readonly utilization: number;
  /** Statements that ended, through the pool's own calls; those on a client taken by `connect()` are not seen. */
  readonly queries: number;
  readonly failedQueries: number;
  readonly averageQueryMs: number;
  readonly queryTime: HistogramSnapshot;
  readonly slowQueries: number;
  readonly retries: number;
  readonly queryTimeouts: number;
  readonly queryAborts: number;
  readonly acquireTimeouts: number;
  readonly leaks: number;
  readonly failovers: number;
  /** Connections given back inside a transaction, and rolled back. */
  readonly leftOpen: number;
  readonly idleFailures: number;
  /** Connections closed because the server sent what is no message of the protocol. */
  readonly protocolErrors: number;
  /** Who tells which servers there are; undefined when the options alone do. */
  readonly provider: ProviderStats | undefined;
  readonly servers: readonly ServerStats[];
}

/** What is counted pool-wide. */
export interface PoolCounters {
  failedQueries: number;
  slowQueries: number;
  retries: number;
  queryTimeouts: number;
  queryAborts: number;
  leftOpen: number;
  idleFailures: number;
  protocolErrors: number;
  readonly queryMs: Histogram;
}

export function newPoolCounters(): PoolCounters {
  return {
    failedQueries: 0,
    slowQueries: 0,
    retries: 0,
    queryTimeouts: 0,
    queryAborts: 0,
    leftOpen: 0,
    idleFailures: 0,
    protocolErrors: 0,
    queryMs: new Histogram(),
  };
}

/** Puts the numbers together. Cheap: nothing is asked of any server. */
export function gatherStats(
  topology: Topology,
  { max, min }: { readonly max: number; readonly min: number },
  counters: PoolCounters,
  { leaks, gate }: { readonly leaks: number; readonly gate: { readonly isOpen: boolean; readonly waiting: number } },
): PoolStats {
  const servers = topology.servers.map((server) => serverStats(server, topology.primary === server));
  const sum = (of: (server: ServerStats) => number): number => servers.reduce((total, each) => total + of(each), 0);
  const checkedOut = sum((server) => server.checkedOut);
  const { queryMs, ...counts } = counters;
  return {
    max,
    min,
    checkedOut,
    leaks,
    ...counts,
    total: sum((server) => server.total),
    idle: sum((server) => server.idle),
    connecting: sum((server) => server.connecting),
    waiting: gate.waiting + sum((server) => server.waiting),
    paused: !gate.isOpen,
    utilization: checkedOut / (max * servers.length),
    queries: queryMs.count,
    averageQueryMs: queryMs.meanMs,
    queryTime: queryMs.snapshot(),
    acquireTimeouts: sum((server) => server.acquireTimeouts),
    failovers: topology.failovers,
    provider: topology.provider,
    servers,
  };
}

function serverStats(server: Server, elected: boolean): ServerStats {
  // A server that could write when last seen is not the primary unless it was elected.
  const role = server.role === "primary" && !elected ? "unknown" : server.role;
  const { name, state, breaker, connections, observation, lag } = server;
  const { allowed, total, idle, checkedOut, connecting, waiting, counters } = connections;
  return {
    name,
    role,
    state,
    breaker: breaker.state,
    reason: server.refusal?.seen ?? server.failure,
    allowed,
    total,
    idle,
    checkedOut,
    connecting,
    waiting,
    lagMs: lag?.lagMs,
    lagBytes: lag?.lagBytes,
    timeline: observation?.timeline,
    lsn: observation?.lsn,
    serverVersion: observation?.serverVersion,
    probedAt: observation && new Date(observation.at).toISOString(),
    probeMs: observation?.tookMs,
    connectionsOpened: counters.opened,
    connectionsClosed: counters.closed,
    connectionsFailed: counters.openFailed,
    acquireTimeouts: counters.acquireTimeouts,
    createTime: counters.createMs.snapshot(),
    waitTime: counters.waitMs.snapshot(),
    useTime: counters.useMs.snapshot(),
  };
}
