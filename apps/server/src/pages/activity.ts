import type { LockNode, Part } from "@db/dashboard";
import { connections, type InspectReport, type StatementPlan, type TopQuery, valueOf } from "@db/orchestrator";
import type { Window } from "../statement-memory.ts";
import { chartOf, grid, onGrid, seriesChart, weekBefore } from "./charts.ts";
import { type PageContext, sessionActions } from "./known.ts";
import { inspectPart } from "./tables.ts";

/** Where the time goes, by statement. */
export async function queriesPage(context: PageContext): Promise<readonly Part[]> {
  const { snapshot, statements, head } = context;
  const window: Window = head.range === "15min" ? "15min" : head.range === "1h" ? "1h" : "all";
  const { rows: ranked, seconds } = statements.ranked(snapshot, window, 40);
  const rows = withTexts(ranked, await context.inspect("queries"));
  const state = snapshot.servers[0]?.facts.statements?.state;
  const shown = rows.filter(({ queryId }) => queryId !== "other" && queryId !== "monitor");
  const rest = rows.filter(({ queryId }) => queryId === "other" || queryId === "monitor");
  const over = seconds === null ? "since the counters began" : `in the last ${Math.round(seconds / 60) || 1} min`;
  if (shown.length === 0) {
    return [
      {
        id: "queries",
        title: "Top queries",
        wide: true,
        empty:
          state === "not-loaded" || state === "not-installed"
            ? {
                text: "pg_stat_statements is not there, so nobody counts statements. Load it, restart, then:",
                command: "create extension pg_stat_statements",
              }
            : state === undefined
              ? { text: "Statements were not read yet; the first reading takes a few seconds." }
              : { text: `No statement has run ${over}.` },
      },
    ];
  }
  return [
    {
      id: "queries",
      title: "Top queries",
      note: `by share of all statement time ${over}`,
      wide: true,
      table: {
        caption: `Statements by share of time ${over}`,
        columns: [
          { key: "share", label: "Share", kind: "share" },
          { key: "query", label: "Statement", kind: "code" },
          { key: "totalMs", label: "Total", kind: "milliseconds" },
          { key: "meanMs", label: "Mean", kind: "milliseconds" },
          {
            key: "calls",
            label: seconds === null ? "Calls" : "Calls/s",
            kind: seconds === null ? "count" : "per second",
          },
          { key: "rows", label: "Rows/call", kind: "count" },
          { key: "cache", label: "Cache", kind: "ratio" },
          { key: "course", label: "Last half hour", kind: "spark" },
        ],
        sortedBy: { key: "share", descending: true },
        rows: shown.map((query, index) => ({
          key: `${index}:${query.queryId}:${query.user}:${query.database}`,
          href: `queries/${query.queryId}`,
          cells: {
            share: query.share,
            totalMs: query.totalSeconds * 1_000,
            meanMs: query.meanMs,
            calls: seconds === null ? query.calls : query.calls / seconds,
            rows: query.calls === 0 ? null : Math.round((query.rows / query.calls) * 10) / 10,
            cache: query.cacheHitRatio,
            course: statements.course(query.queryId).map(({ share }) => share),
            query: query.text ?? `text not read yet, query id ${query.queryId}`,
          },
        })),
      },
      facts: rest.map((query) => ({
        label: query.queryId === "other" ? "all other statements" : "this monitor itself",
        value: query.share,
        kind: "ratio",
      })),
    },
  ];
}

/** Statements whose text the monitor has not read yet, with what the server says now. */
export function withTexts(queries: readonly TopQuery[], report: InspectReport | undefined): readonly TopQuery[] {
  if (!report || queries.every(({ text }) => text !== undefined)) return queries;
  const texts = new Map(report.rows.map((row) => [row["queryId"], row["query"]]));
  return queries.map((query) => {
    const text = query.text ?? texts.get(query.queryId);
    return typeof text === "string" ? { ...query, text } : query;
  });
}

/** One statement: what it costs, how it goes, and how the server runs it. */
export function queryPage(context: PageContext, id: string, plan: StatementPlan | undefined): readonly Part[] {
  const { snapshot, statements } = context;
  const found: TopQuery | undefined = statements
    .ranked(snapshot, "all", 1_000)
    .rows.find(({ queryId }) => queryId === id);
  const text = plan?.query ?? found?.text;
  if (text === undefined) {
    return [
      {
        id: "query",
        title: "Statement",
        wide: true,
        empty: { text: "No statement with that id is recorded in this database any more." },
      },
    ];
  }
  const course = statements.course(id);
  return [
    {
      id: "query",
      title: `Statement ${id}`,
      wide: true,
      statement: text,
      ...(found && {
        facts: [
          { label: "share of time", value: found.share, kind: "ratio" },
          { label: "total", value: found.totalSeconds * 1_000, kind: "milliseconds" },
          { label: "mean", value: found.meanMs, kind: "milliseconds" },
          { label: "calls", value: found.calls, kind: "count" },
          { label: "rows", value: found.rows, kind: "count" },
          { label: "from cache", value: found.cacheHitRatio, kind: "ratio" },
          { label: "temp. blocks", value: found.tempBlocksWritten, kind: "count" },
          { label: "role", value: found.user, kind: "text" },
        ],
      }),
    },
    {
      id: "plan",
      title: "Plan",
      note: "for average values; the statement is not run",
      wide: true,
      ...(plan && plan.nodes.length > 0
        ? {
            table: {
              caption: "Nodes of the plan, outermost first",
              columns: [
                { key: "node", label: "Node", kind: "node" as const },
                { key: "on", label: "On", kind: "text" as const },
                { key: "rows", label: "Rows expected", kind: "count" as const },
                { key: "cost", label: "Cost", kind: "count" as const },
                { key: "condition", label: "Conditions", kind: "code" as const },
              ],
              rows: plan.nodes.map(({ depth, node, on, rows, cost, condition }, index) => ({
                key: String(index),
                cells: { node: `${depth}:${node}`, on, rows, cost, condition },
              })),
            },
          }
        : { empty: { text: plan?.note ?? "The plan could not be read just now." } }),
    },
    {
      id: "course",
      title: "Course",
      wide: true,
      charts: [
        ...chartOf(context, { title: "Time", unit: "seconds per second", kind: "per second" }, [
          {
            label: "busy",
            points: onGrid(
              context,
              course.map(({ at, share }) => ({ at, value: share })),
            ),
          },
        ]),
        ...chartOf(context, { title: "Calls", unit: "per second", kind: "per second" }, [
          {
            label: "calls",
            points: onGrid(
              context,
              course.map(({ at, callsPerSecond }) => ({ at, value: callsPerSecond })),
            ),
          },
        ]),
      ],
      ...(course.length === 0 && {
        empty: { text: "Two readings of its counters are needed; they are a minute apart." },
      }),
    },
  ];
}

/** The pool of this process over the sessions of the server. */
export async function connectionsPage(context: PageContext): Promise<readonly Part[]> {
  const { orchestrator, snapshot, latency, may } = context;
  const server = connections(snapshot).servers[0];
  const pool = orchestrator.pool.stats();
  const most = pool.max * Math.max(1, pool.servers.length);
  const { from, to } = grid(context);
  const last = latency.between(from, to).at(-1);
  const usable = server?.usable ?? null;
  const used = server?.used ?? 0;
  return [
    {
      id: "pool",
      title: "This process's pool",
      note: "as its callers see it",
      facts: [
        { label: "in use", value: pool.checkedOut, kind: "count" },
        { label: "idle", value: pool.idle, kind: "count" },
        { label: "waiting", value: pool.waiting, kind: "count", ...(pool.waiting > 0 && { tone: "warn" }) },
        { label: "at most", value: most, kind: "count" },
        {
          label: "wait, p95",
          value: last?.wait.p95 === undefined || last.wait.p95 === null ? null : last.wait.p95 * 1_000,
          kind: "milliseconds",
        },
        {
          label: "gave up",
          value: pool.acquireTimeouts,
          kind: "count",
          ...(pool.acquireTimeouts > 0 && { tone: "warn" }),
        },
      ],
      charts: seriesChart(context, {
        title: "Pool connections",
        unit: "connections",
        kind: "count",
        stacked: true,
        everyServer: true,
        lines: [
          {
            name: "pool",
            label: ({ state = "", role }) => (role === "replica" || role === "standby" ? `replica ${state}` : state),
          },
        ],
      }),
    },
    {
      id: "server",
      title: "The server's connections",
      note: "everybody's",
      facts: [
        { label: "used", value: used, kind: "count" },
        { label: "allowed", value: usable, kind: "count" },
        {
          label: "of them used",
          value: usable ? used / usable : null,
          kind: "share",
          ...(usable && used / usable > 0.8 && { tone: used / usable > 0.95 ? "bad" : "warn" }),
        },
        { label: "idle in transaction", value: server?.byState["idle in transaction"] ?? 0, kind: "count" },
      ],
      charts: seriesChart(context, {
        title: "Sessions by state",
        unit: "sessions",
        kind: "count",
        stacked: true,
        lines: [{ name: "connections", label: ({ state }) => state || "unknown" }],
        limit: usable === null ? undefined : { label: "allowed", value: usable },
      }),
    },
    inspectPart("by", await context.inspect("connections"), { most: 20 }, { title: "Who is connected" }),
    inspectPart(
      "sessions",
      await context.inspect("sessions"),
      {
        columns: ["pid", "user", "application", "state", "wait", "transactionSeconds", "querySeconds", "query"],
        actions: (row) => sessionActions(may, Number(row["pid"]), row["backendStart"]),
      },
      { title: "Sessions", note: "oldest transaction first" },
    ),
  ];
}

/** The blocking tree, now. */
export async function locksPage(context: PageContext): Promise<readonly Part[]> {
  const { may } = context;
  const [blocking, locks] = await Promise.all([context.inspect("blocking"), context.inspect("locks")]);
  const tree = blocking ? lockTree(blocking.rows, may) : [];
  return [
    {
      id: "tree",
      title: "Blocking tree",
      note: "the root of each holds up those below",
      wide: true,
      ...(tree.length > 0
        ? { tree, ...(!may("sessions.cancel") && { command: "db inspect blocking" }) }
        : { empty: { text: blocking ? "Nobody waits for a lock." : "The server does not answer just now." } }),
    },
    {
      id: "blocked",
      title: "Sessions waiting for a lock",
      wide: true,
      charts: seriesChart(context, {
        title: "Waiting",
        unit: "sessions",
        kind: "count",
        lines: [{ name: "blocked", label: () => "waiting" }],
      }),
    },
    inspectPart(
      "locks",
      locks,
      {
        columns: [
          "pid",
          "object",
          "mode",
          "granted",
          "user",
          "application",
          "waitSeconds",
          "transactionSeconds",
          "query",
        ],
      },
      { title: "Locks", note: "those waited for first" },
    ),
  ];
}

/** Rows of the inspection `blocking` as trees: the roots wait for nobody. Worst first. */
export function lockTree(rows: InspectReport["rows"], may: PageContext["may"]): readonly LockNode[] {
  const blockersOf = (row: InspectReport["rows"][number]): readonly number[] =>
    row["blockedBy"] === null ? [] : [...new Set(String(row["blockedBy"]).split(",").map(Number))];
  const number = (value: unknown): number | null => (value === null || value === undefined ? null : Number(value));
  const node = (row: InspectReport["rows"][number], path: ReadonlySet<number>): LockNode => {
    const pid = Number(row["pid"]);
    const below = new Set([...path, pid]);
    return {
      pid,
      who: [row["user"], row["application"]].filter(Boolean).join(", "),
      state: String(row["state"] ?? "unknown"),
      awaits: row["awaits"] === null ? null : String(row["awaits"]),
      waitSeconds: number(row["waitSeconds"]),
      transactionSeconds: number(row["transactionSeconds"]),
      query: String(row["query"] ?? ""),
      actions: sessionActions(may, pid, row["backendStart"]),
      // A deadlock is a circle until the server breaks it.
      blocks: rows
        .filter((other) => blockersOf(other).includes(pid) && !below.has(Number(other["pid"])))
        .map((other) => node(other, below)),
    };
  };
  const size = ({ blocks }: LockNode): number => blocks.reduce((sum, each) => sum + 1 + size(each), 0);
  return rows
    .filter((row) => blockersOf(row).length === 0)
    .map((row) => node(row, new Set()))
    .toSorted((a, b) => size(b) - size(a));
}

/** Transactions, rows, and how long statements take. */
export function throughputPage(context: PageContext): readonly Part[] {
  const { latency, snapshot } = context;
  const { from, to } = grid(context);
  const moments = latency.between(from, to);
  const line = (label: string, of: (moment: (typeof moments)[number]) => number | null) => ({
    label,
    points: onGrid(
      context,
      moments.map((moment) => ({ at: moment.at, value: of(moment) })),
    ),
  });
  const ms = (seconds: number | null): number | null => (seconds === null ? null : seconds * 1_000);
  const latencies = chartOf(context, { title: "Statement time", unit: "milliseconds", kind: "milliseconds" }, [
    line("p50", ({ statement }) => ms(statement.p50)),
    line("p95", ({ statement }) => ms(statement.p95)),
    line("p99", ({ statement }) => ms(statement.p99)),
  ]);
  const server = snapshot.servers[0]?.name ?? "";
  return [
    {
      id: "transactions",
      title: "Transactions",
      charts: seriesChart(context, {
        title: "Transactions",
        unit: "per second",
        kind: "per second",
        lines: [
          { name: "commits", label: () => "committed" },
          { name: "rollbacks", label: () => "rolled back" },
          weekBefore({ name: "commits", label: () => "committed, a week before" }),
        ],
      }),
      facts: [
        {
          label: "deadlocks since the counters began",
          value: valueOf(snapshot, "pg_stat_database_deadlocks", { server }) ?? null,
          kind: "count",
        },
      ],
    },
    {
      id: "latency",
      title: "How long statements take",
      note: "those of this process, from its pool's histogram",
      charts: latencies,
      ...(latencies.length === 0 && {
        empty: {
          text: "This process has run no statement in this range. In an application, its own server shows its own.",
        },
      }),
    },
    {
      id: "rows",
      title: "Rows",
      charts: seriesChart(context, {
        title: "Rows",
        unit: "per second",
        kind: "per second",
        lines: [
          { name: "rows.fetched", label: () => "fetched" },
          { name: "rows.written", label: () => "written" },
        ],
      }),
    },
    {
      id: "temp",
      title: "Temporary files",
      note: "sorts and hashes that work_mem could not hold",
      charts: seriesChart(context, {
        title: "Written to temporary files",
        unit: "per second",
        kind: "bytes",
        lines: [{ name: "temp.bytes", label: () => "written" }],
      }),
    },
  ];
}
