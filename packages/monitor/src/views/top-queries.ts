import type { StatementFact } from "../facts.ts";
import type { Snapshot } from "../snapshot.ts";

/** One statement over the time looked at. */
export interface TopQuery {
  readonly server: string;
  /** `other` for the sum of all that are not among the top, `monitor` for the sum of what the monitor asked. */
  readonly queryId: string;
  readonly user: string;
  readonly database: string;
  /** Normalised, without literals; absent for `other` and until it was read. */
  readonly text?: string;
  readonly calls: number;
  readonly totalSeconds: number;
  readonly meanMs: number;
  readonly rows: number;
  /** Part of the time of all statements, 0 to 1. */
  readonly share: number;
  /** Part of its blocks found in shared buffers, 0 to 1; `null` when it touched none. */
  readonly cacheHitRatio: number | null;
  readonly tempBlocksWritten: number;
}

export interface TopQueriesOptions {
  readonly by?: "totalSeconds" | "meanMs" | "calls" | "rows" | "tempBlocksWritten";
  /** Default 20; `other` comes on top of it. */
  readonly limit?: number;
  readonly server?: string;
  /** An earlier snapshot: then only what happened since counts. */
  readonly since?: Snapshot;
}

/** The statements a server spends its time on, greatest first, `other` last. */
export function topQueries(snapshot: Snapshot, options: TopQueriesOptions = {}): readonly TopQuery[] {
  const { by = "totalSeconds", limit = 20 } = options;
  return snapshot.servers
    .filter(({ name }) => options.server === undefined || name === options.server)
    .flatMap(({ name, facts }) => {
      const before = options.since?.servers.find((server) => server.name === name)?.facts.statements?.top ?? [];
      const now = joinOwn((facts.statements?.top ?? []).map((statement) => difference(statement, before)));
      const all = now.reduce((sum, { totalSeconds }) => sum + totalSeconds, 0);
      const queries = now.filter(({ calls }) => calls > 0).map((statement) => toQuery(name, statement, all));
      const ranked = queries.filter(({ queryId }) => queryId !== "other").toSorted((a, b) => b[by] - a[by]);
      return ranked.slice(0, limit).concat(queries.filter(({ queryId }) => queryId === "other"));
    });
}

/** What the monitor asked counts as one: it is a cost to know, not forty queries to look at. */
function joinOwn(statements: readonly StatementFact[]): readonly StatementFact[] {
  const own = statements.filter((statement) => statement.own);
  const sum = (of: (statement: StatementFact) => number): number => own.reduce((total, each) => total + of(each), 0);
  if (own.length === 0) return statements;
  return [
    ...statements.filter((statement) => !statement.own),
    {
      queryId: "monitor",
      user: own[0]?.user ?? "",
      database: own[0]?.database ?? "",
      text: "what this monitor asked",
      own: true,
      calls: sum(({ calls }) => calls),
      totalSeconds: sum(({ totalSeconds }) => totalSeconds),
      rows: sum(({ rows }) => rows),
      sharedBlocksHit: sum(({ sharedBlocksHit }) => sharedBlocksHit),
      sharedBlocksRead: sum(({ sharedBlocksRead }) => sharedBlocksRead),
      tempBlocksWritten: sum(({ tempBlocksWritten }) => tempBlocksWritten),
    },
  ];
}

function difference(now: StatementFact, before: readonly StatementFact[]): StatementFact {
  const then = before.find(
    ({ queryId, user, database }) => queryId === now.queryId && user === now.user && database === now.database,
  );
  // Fewer calls than before: the counters were reset, and all there is happened since.
  if (!then || then.calls > now.calls) return now;
  return {
    ...now,
    calls: now.calls - then.calls,
    totalSeconds: Math.max(0, now.totalSeconds - then.totalSeconds),
    rows: now.rows - then.rows,
    sharedBlocksHit: now.sharedBlocksHit - then.sharedBlocksHit,
    sharedBlocksRead: now.sharedBlocksRead - then.sharedBlocksRead,
    tempBlocksWritten: now.tempBlocksWritten - then.tempBlocksWritten,
  };
}

function toQuery(server: string, statement: StatementFact, all: number): TopQuery {
  const blocks = statement.sharedBlocksHit + statement.sharedBlocksRead;
  return {
    server,
    queryId: statement.queryId,
    user: statement.user,
    database: statement.database,
    ...(statement.text !== undefined && { text: statement.text }),
    calls: statement.calls,
    totalSeconds: statement.totalSeconds,
    meanMs: (statement.totalSeconds * 1000) / statement.calls,
    rows: statement.rows,
    share: all > 0 ? statement.totalSeconds / all : 0,
    cacheHitRatio: blocks > 0 ? statement.sharedBlocksHit / blocks : null,
    tempBlocksWritten: statement.tempBlocksWritten,
  };
}
