import type { Chart, Part } from "@db/dashboard";
import type { Monitor } from "@db/orchestrator";
import {
  type ChartContext,
  type ChartLine,
  chartOf,
  grid,
  onGrid,
  seriesChart,
  seriesLines,
  weekBefore,
} from "./charts.ts";
import type { PageContext } from "./known.ts";
import { inspectPart } from "./tables.ts";

type WaitLoad = ReturnType<Monitor["waits"]>[number]["load"][number];

const mostEvents = 6;
/** The monitor keeps its samples for so long; beyond it, the key series tell kinds of waits only. */
const sampledMs = 3_600_000;

/** Active sessions by what they wait for. */
export async function loadPage(context: PageContext): Promise<readonly Part[]> {
  const { snapshot } = context;
  const cpus = snapshot.host?.cpus;
  const { from, to } = grid(context);
  const limit = cpus === undefined ? undefined : { label: "processors", value: cpus };
  const sampled = waitChart(context, limit);
  const kinds =
    sampled.length === 0 || to - from > sampledMs
      ? seriesChart(context, {
          title: "Active sessions",
          unit: "sessions, by kind of wait",
          kind: "count",
          stacked: true,
          lines: [{ name: "load", label: ({ wait_event_type: wait }) => wait || "CPU" }],
          limit,
        })
      : [];
  const charts = [...kinds, ...sampled, ...weekChart(context)];
  return [
    {
      id: "load",
      title: "Load",
      note: "above the line of processors, sessions queue for them",
      wide: true,
      charts,
      ...(charts.length === 0 && {
        empty: { text: "No session was active yet in this range; the chart begins with the next collection." },
      }),
      ...(cpus === undefined && {
        facts: [{ label: "processors", value: "unknown: the server is another machine", kind: "text" }],
      }),
    },
    inspectPart("waits", await context.inspect("waits"), {}, { title: "Waits now" }),
    inspectPart(
      "running",
      await context.inspect("long"),
      { columns: ["pid", "querySeconds", "user", "application", "wait", "query"] },
      { title: "Running statements", note: "longest first" },
    ),
  ];
}

interface WaitContext extends ChartContext {
  readonly orchestrator: { readonly monitor: Pick<Monitor, "series" | "waits"> };
}

/** Load by wait event, from the samples the monitor takes each second: the greatest events, and the rest as one. */
export function waitChart(context: WaitContext, limit?: { label: string; value: number }): readonly Chart[] {
  const { from, to, stepMs } = grid(context);
  const server = context.snapshot.servers[0]?.name;
  const spans = context.orchestrator.monitor.waits({ from, to, stepMs, ...(server !== undefined && { server }) });
  const sums = new Map<string, number>();
  for (const { load } of spans)
    for (const each of load) sums.set(nameOf(each), (sums.get(nameOf(each)) ?? 0) + each.sessions);
  const ranked = [...sums].toSorted(([, a], [, b]) => b - a).map(([name]) => name);
  const told = ranked.length > mostEvents ? ranked.slice(0, mostEvents - 1) : ranked;
  const labels = [...told, ...(told.length < ranked.length ? ["other"] : [])];
  const lines = labels.map((label) => ({
    label,
    points: onGrid(
      context,
      spans.map(({ at, load }) => ({
        at,
        value: load
          .filter((each) => (label === "other" ? !told.includes(nameOf(each)) : nameOf(each) === label))
          .reduce((sum, { sessions }) => sum + sessions, 0),
      })),
    ),
  }));
  const wish = {
    title: "Active sessions",
    unit: "by wait event, sampled each second",
    kind: "count",
  } as const;
  return chartOf(context, { ...wish, stacked: true, limit }, lines);
}

function nameOf({ type, event }: Pick<WaitLoad, "type" | "event">): string {
  return event === "" ? type : `${type}: ${event}`;
}

/** All active sessions, now and a week before; nothing while the monitor remembers no such week. */
export function weekChart(context: ChartContext): readonly Chart[] {
  const line = { name: "load", label: () => "" };
  const before = totalOf(seriesLines(context, weekBefore(line)));
  if (!before) return [];
  return chartOf(context, { title: "Active sessions in all", unit: "sessions", kind: "count" }, [
    { label: "now", points: totalOf(seriesLines(context, line)) ?? [] },
    { label: "a week before", points: before },
  ]);
}

function totalOf(lines: readonly ChartLine[]): ChartLine["points"] | undefined {
  const sum = (at: number): number | null => {
    const values = lines.flatMap((line) => line.points[at] ?? []);
    return values.length === 0 ? null : values.reduce((total, each) => total + each, 0);
  };
  return lines[0]?.points.map((_, at) => sum(at));
}
