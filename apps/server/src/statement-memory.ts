import { type Snapshot, topQueries, type TopQuery } from "@db/orchestrator";

const keptMs = 3_600_000;
const spacingMs = 30_000;
const sparkPoints = 30;

/** Windows that a ranking may cover. */
export const windows = ["5min", "15min", "1h", "all"] as const;
export type Window = (typeof windows)[number];
const windowMs: Readonly<Record<Exclude<Window, "all">, number>> = {
  "5min": 300_000,
  "15min": 900_000,
  "1h": 3_600_000,
};

/** Statement counters of the last hour, so that a ranking can cover what happened lately. */
export interface StatementMemory {
  record(snapshot: Snapshot): void;
  /** Statements over a window, by time, and how long the window really is; `null` for all time. */
  ranked(
    snapshot: Snapshot,
    window: Window,
    limit: number,
  ): { readonly rows: readonly TopQuery[]; readonly seconds: number | null };
  /** Time a statement took per second of the clock, between one moment and the next. */
  course(
    queryId: string,
  ): readonly { readonly at: number; readonly share: number | null; readonly callsPerSecond: number | null }[];
}

export function createStatementMemory(): StatementMemory {
  const kept: { at: number; snapshot: Snapshot }[] = [];
  return {
    record(snapshot) {
      const at = readAt(snapshot);
      const last = kept.at(-1);
      if (at === undefined || (last && at - last.at < spacingMs)) return;
      // Of a snapshot only its statements are needed.
      const servers = snapshot.servers.map((server) => ({
        ...server,
        blocks: [],
        facts: server.facts.statements ? { statements: server.facts.statements } : {},
      }));
      kept.push({ at, snapshot: { asOf: snapshot.asOf, servers, blocks: [], families: [] } });
      while (kept[0] && kept[0].at < at - keptMs - spacingMs) kept.shift();
    },
    ranked(snapshot, window, limit) {
      const server = snapshot.servers[0]?.name;
      const now = readAt(snapshot) ?? Date.parse(snapshot.asOf);
      const options = { limit, ...(server !== undefined && { server }) };
      if (window === "all") return { rows: topQueries(snapshot, options), seconds: null };
      const since = kept.find(({ at }) => at >= now - windowMs[window] - spacingMs / 2 && at < now);
      if (!since) return { rows: topQueries(snapshot, options), seconds: null };
      return {
        rows: topQueries(snapshot, { ...options, since: since.snapshot }),
        seconds: (now - since.at) / 1_000,
      };
    },
    course(queryId) {
      const of = ({ snapshot }: { snapshot: Snapshot }) => {
        const found = (snapshot.servers[0]?.facts.statements?.top ?? []).filter((each) => each.queryId === queryId);
        return found.length === 0
          ? undefined
          : {
              calls: found.reduce((sum, { calls }) => sum + calls, 0),
              seconds: found.reduce((sum, { totalSeconds }) => sum + totalSeconds, 0),
            };
      };
      return kept.slice(-sparkPoints - 1).flatMap((moment, i, all) => {
        if (i === 0) return [];
        const [before, now] = [of(all[i - 1]!), of(moment)];
        const seconds = (moment.at - all[i - 1]!.at) / 1_000;
        const known = before && now && now.calls >= before.calls;
        return [
          {
            at: moment.at,
            share: known ? (now.seconds - before.seconds) / seconds : null,
            callsPerSecond: known ? (now.calls - before.calls) / seconds : null,
          },
        ];
      });
    },
  };
}

function readAt(snapshot: Snapshot): number | undefined {
  const asOf = snapshot.servers[0]?.blocks.find(({ collector }) => collector === "statements")?.asOf;
  return asOf ? Date.parse(asOf) : undefined;
}
