import type { BlockingFact, SessionFact } from "../facts.ts";
import type { PoolStats } from "../pool-stats.ts";
import { samplesOf, type Snapshot, valueOf } from "../snapshot.ts";

/** The connections of the topology: pools on this side, sessions on the servers' side. */
export interface ConnectionsView {
  /** The application's pool; `null` when the monitor was given none. */
  readonly pool: PoolStats | null;
  readonly servers: readonly ServerConnections[];
}

export interface ServerConnections {
  readonly server: string;
  /** Client connections now. */
  readonly used: number;
  /** `max_connections` without those reserved for superusers; `null` until the settings were read. */
  readonly usable: number | null;
  /** `active`, `idle`, … to the number of client sessions. */
  readonly byState: Readonly<Record<string, number>>;
  /** What active client sessions wait for; `CPU` for those that do not wait. */
  readonly byWait: Readonly<Record<string, number>>;
  /** The sessions with the oldest transactions, oldest first, at most 20. */
  readonly oldest: readonly SessionFact[];
  readonly blocking: readonly BlockingNode[];
}

/** A session and those that wait for it. */
export interface BlockingNode {
  readonly session: BlockingFact;
  readonly blocks: readonly BlockingNode[];
}

export function connections(snapshot: Snapshot): ConnectionsView {
  return {
    pool: snapshot.pool ?? null,
    servers: snapshot.servers.map(({ name, facts }) => {
      const clients = samplesOf(snapshot, "pg_stat_activity_count").filter(
        ({ labels }) => labels["server"] === name && labels["backend_type"] === "client backend",
      );
      const total = (by: (labels: Readonly<Record<string, string>>) => string | undefined): Record<string, number> => {
        const counts: Record<string, number> = {};
        for (const { labels, value } of clients) {
          const key = by(labels);
          if (key !== undefined) counts[key] = (counts[key] ?? 0) + value;
        }
        return counts;
      };
      return {
        server: name,
        used: clients.reduce((sum, { value }) => sum + value, 0),
        usable: valueOf(snapshot, "pg_connections_usable", { server: name }) ?? null,
        byState: total(({ state }) => state || "unknown"),
        byWait: total(({ state, wait_event_type: wait }) => (state === "active" ? wait || "CPU" : undefined)),
        oldest: facts.sessions ?? [],
        blocking: blockingTree(facts.blocking ?? []),
      };
    }),
  };
}

/** Who holds up whom: the roots wait for nobody. A session that waits for two stands under both. */
export function blockingTree(blocking: readonly BlockingFact[]): readonly BlockingNode[] {
  const children = (pid: number, path: ReadonlySet<number>): readonly BlockingNode[] =>
    blocking
      // A deadlock is a circle until the server breaks it.
      .filter((session) => session.blockedBy.includes(pid) && !path.has(session.pid))
      .map((session) => ({ session, blocks: children(session.pid, new Set([...path, session.pid])) }));
  const roots = blocking.filter(({ blockedBy }) => blockedBy.length === 0);
  return roots.map((session) => ({ session, blocks: children(session.pid, new Set([session.pid])) }));
}
