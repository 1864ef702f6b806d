import { formatDuration, parseDurationMs, systemClock } from "@db/core";
import {
  connections,
  type InspectCell,
  type Orchestrator,
  type InspectReport,
  type Snapshot,
  topQueries,
  type TopQuery,
  valueOf,
} from "@db/orchestrator";
import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { textTable } from "../text-table.ts";

/** `db top`: what the server does now, again and again. */
export async function top(context: Context, input: Input): Promise<CommandResult> {
  const intervalMs = parseDurationMs(text(input, "interval") ?? "2s");
  if (intervalMs < 250) throw new UsageError("--interval is shorter than 250 ms", { hint: 'Give at least "250ms".' });
  const orchestrator = await context.orchestrator({ readOnly: true });
  const live = toggle(input, "once") !== true && context.terminal.form !== "json";
  let before = await look(orchestrator, context.signal);
  // Rates need two looks.
  await pause(intervalMs, context.signal);
  for (;;) {
    const now = await look(orchestrator, context.signal);
    const data = screenOf(before, now);
    if (!live || context.signal.aborted) return { data, text: draw(data, context) };
    if (context.terminal.form === "text") context.terminal.frame(draw(data, context));
    else context.terminal.event("log", data);
    before = now;
    await pause(intervalMs, context.signal);
    if (context.signal.aborted) return { data, text: "" };
  }
}

interface Look {
  readonly at: number;
  readonly snapshot: Snapshot;
  readonly running: InspectReport["rows"];
  readonly blocking: InspectReport["rows"];
}

async function look({ monitor, sessions }: Orchestrator, signal: AbortSignal): Promise<Look> {
  const snapshot = await monitor.collect({ signal, force: true });
  const [running, blocking] = [await sessions.inspect("long", { limit: 15 }), await sessions.inspect("blocking")];
  return { at: Date.now(), snapshot, running: running.rows, blocking: blocking.rows };
}

interface Screen {
  readonly at: string;
  readonly seconds: number;
  readonly database: string;
  readonly version: string;
  readonly transactionsPerSecond: number;
  readonly connectionsUsed: number;
  readonly connectionsUsable: number | null;
  readonly byState: Readonly<Record<string, number>>;
  readonly queries: readonly TopQuery[];
  readonly running: Look["running"];
  readonly blocking: Look["blocking"];
}

function screenOf(before: Look, now: Look): Screen {
  const { snapshot } = now;
  const primary = snapshot.servers[0]!;
  const seconds = (now.at - before.at) / 1_000;
  const transactions = ({ snapshot: of }: Look): number =>
    (valueOf(of, "pg_stat_database_xact_commit", { server: primary.name }) ?? 0) +
    (valueOf(of, "pg_stat_database_xact_rollback", { server: primary.name }) ?? 0);
  const { used = 0, usable = null, byState = {} } = connections(snapshot).servers[0] ?? {};
  return {
    at: new Date(now.at).toISOString(),
    seconds,
    database: primary.facts.identity?.database ?? "",
    version: `${Math.floor(primary.versionNum / 10_000)}.${primary.versionNum % 10_000}`,
    transactionsPerSecond: Math.max(0, transactions(now) - transactions(before)) / seconds,
    connectionsUsed: used,
    connectionsUsable: usable,
    byState,
    queries: topQueries(snapshot, { server: primary.name, since: before.snapshot, limit: 10 }),
    running: now.running,
    blocking: now.blocking,
  };
}

function draw(screen: Screen, { terminal }: Context): string {
  const { byState, queries, running, blocking } = screen;
  const states = Object.entries(byState).map(([state, count]) => `${count} ${state}`);
  const line = (value: InspectCell | undefined, length: number): string =>
    String(value ?? "")
      .replaceAll(/\s+/g, " ")
      .slice(0, length);
  const seconds = (value: InspectCell | undefined): string =>
    value == null ? "–" : formatDuration(Number(value) * 1_000);
  const heading = (title: string): string => `\n${terminal.paint("bold", title)}`;
  const of = screen.connectionsUsable === null ? "" : ` of ${screen.connectionsUsable}`;
  return [
    `${screen.at.slice(11, 19)} UTC  ${screen.database}, PostgreSQL ${screen.version}  ${screen.transactionsPerSecond.toFixed(1)} transactions/s  ${screen.connectionsUsed}${of} connections: ${states.join(", ")}`,
    ...(blocking.length === 0
      ? []
      : [
          heading(
            terminal.paint("red", `Blocking: ${blocking.filter((row) => row["blockedBy"] !== null).length} wait`),
          ),
          textTable(
            ["pid", "waits for", "waited", "awaits", "statement"],
            blocking.map((row) => [
              String(row["pid"]),
              String(row["blockedBy"] ?? "nobody"),
              seconds(row["waitSeconds"]),
              line(row["awaits"], 40),
              line(row["query"], 60),
            ]),
          ),
        ]),
    heading(`Running (${running.length})`),
    running.length === 0
      ? "No statement is running."
      : textTable(
          ["pid", "runs for", "user", "application", "waits for", "statement"],
          running.map((row) => [
            String(row["pid"]),
            seconds(row["querySeconds"]),
            line(row["user"], 14),
            line(row["application"], 18),
            line(row["wait"], 24),
            line(row["query"], 60),
          ]),
        ),
    heading(`Statements of the last ${formatDuration(screen.seconds * 1_000)}`),
    queries.length === 0
      ? "None was counted: pg_stat_statements is missing, or its counters are read once a minute."
      : textTable(
          ["share", "calls/s", "mean", "statement"],
          queries.map((query) => [
            `${(query.share * 100).toFixed(1)} %`,
            (query.calls / screen.seconds).toFixed(1),
            formatDuration(query.meanMs),
            query.queryId === "other" ? "all others" : line(query.text ?? `query ${query.queryId}`, 80),
          ]),
        ),
  ].join("\n");
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await systemClock.sleep(ms, signal).catch(() => undefined);
}
