import type { CellKind, Chart, HeadView } from "@db/dashboard";
import { ranges } from "@db/dashboard";
import type { KnownState } from "./known.ts";
import type { Monitor } from "@db/orchestrator";

type Labels = Readonly<Record<string, string>>;

/** A line of a chart: a key series, or several by their labels. */
export interface Line {
  /** Name of the key series. */
  readonly name: string;
  readonly label: (labels: Labels) => string;
  /** Shows what was so long before. */
  readonly agoMs?: number;
}

export interface ChartWish {
  readonly title: string;
  readonly unit: string;
  readonly kind: CellKind;
  readonly lines: readonly Line[];
  readonly stacked?: boolean;
  readonly limit?: { readonly label: string; readonly value: number } | undefined;
  /** Lines of every server, not of the primary alone: a pool names servers its own way. */
  readonly everyServer?: boolean;
  /** Most lines; the largest are shown. Default 6. */
  readonly most?: number;
}

/** A line on the page's grid. */
export interface ChartLine {
  readonly label: string;
  readonly points: readonly (number | null)[];
}

const points = 120;

/** What a chart needs to know. */
export interface ChartContext extends Pick<KnownState, "snapshot" | "migrations"> {
  readonly orchestrator: { readonly monitor: Pick<Monitor, "series"> };
  readonly head: Pick<HeadView, "range">;
}

/** The same line a week before; what the monitor does not remember draws nothing. */
export function weekBefore(line: Line): Line {
  return { ...line, agoMs: 7 * 86_400_000 };
}

/** Lines of the primary over the page's range on one grid, with what was deployed meanwhile. Empty without a value. */
export function seriesChart(context: ChartContext, wish: ChartWish): readonly Chart[] {
  return chartOf(
    context,
    wish,
    wish.lines.flatMap((line) => seriesLines(context, line, wish.everyServer)),
  );
}

/** A key series of the primary, a line for each set of labels. A single point of long ago is no line. */
export function seriesLines(
  context: ChartContext,
  { name, label, agoMs = 0 }: Line,
  everyServer = false,
): readonly ChartLine[] {
  const server = context.snapshot.servers[0]?.name;
  const { from, to, stepMs } = grid(context);
  return context.orchestrator.monitor
    .series(name, { from, to: to + 1, stepMs, agoMs })
    .filter(({ labels }) => everyServer || labels["server"] === undefined || labels["server"] === server)
    .filter((series) => agoMs === 0 || series.points.filter(([, value]) => value !== null).length > 1)
    .map((series) => {
      const values: (number | null)[] = Array.from({ length: points + 1 }, () => null);
      for (const [at, value] of series.points) values[Math.round((at - from) / stepMs)] = value;
      return { label: label(series.labels), points: values };
    });
}

/** A chart of values that are not among the key series. */
export function chartOf(
  context: ChartContext,
  wish: Omit<ChartWish, "lines">,
  given: readonly ChartLine[],
): readonly Chart[] {
  const { from, to, stepMs } = grid(context);
  const most = (line: { points: readonly (number | null)[] }): number =>
    Math.max(0, ...line.points.map((point) => point ?? 0));
  const known = given.filter((line) => line.points.some((point) => point !== null));
  const busy = known.filter((line) => most(line) > 0);
  const shown = (busy.length > 0 ? busy : known.slice(0, 1))
    .toSorted((a, b) => most(b) - most(a))
    .slice(0, wish.most ?? 6);
  if (shown.length === 0) return [];
  const ordered = shown.toSorted((a, b) => given.indexOf(a) - given.indexOf(b));
  // As far back as anything is known: a young process has no empty past to show.
  const first = Math.min(...ordered.map((line) => line.points.findIndex((point) => point !== null)));
  const skip = Math.min(first, points - 11);
  const begin = from + skip * stepMs;
  return [
    {
      title: wish.title,
      unit: wish.unit,
      kind: wish.kind,
      from: new Date(begin).toISOString(),
      to: new Date(to).toISOString(),
      series: ordered.map(({ label, points: values }) => ({ label, points: values.slice(skip).map(rounded) })),
      ...(wish.stacked && { stacked: true }),
      ...(wish.limit && { limit: wish.limit }),
      markers: markersOf(context, begin, to),
    },
  ];
}

/** The clock of a page's charts. */
export function grid({ snapshot, head }: ChartContext): { from: number; to: number; stepMs: number } {
  const { ms } = ranges.find(({ name }) => name === head.range) ?? ranges[1]!;
  const to = Date.parse(snapshot.asOf);
  return { from: to - ms, to, stepMs: ms / points };
}

/** Values at moments of their own, put on the page's grid. */
export function onGrid(
  context: ChartContext,
  moments: readonly { readonly at: number; readonly value: number | null }[],
): (number | null)[] {
  const { from, stepMs } = grid(context);
  const values: (number | null)[] = Array.from({ length: points + 1 }, () => null);
  for (const { at, value } of moments) {
    const place = Math.round((at - from) / stepMs);
    if (place >= 0 && place <= points && value !== null) values[place] = value;
  }
  return values;
}

function markersOf(
  { migrations }: Pick<KnownState, "migrations">,
  from: number,
  to: number,
): NonNullable<Chart["markers"]> {
  return (migrations?.migrations ?? [])
    .filter(({ appliedAt }) => appliedAt !== null && Date.parse(appliedAt) >= from && Date.parse(appliedAt) <= to)
    .map(({ id, appliedAt }) => ({ at: appliedAt!, label: `migration ${id}` }))
    .slice(-20);
}

// Four digits are more than a line of a chart can show.
function rounded(value: number | null): number | null {
  return value === null || Number.isInteger(value) ? value : Number(value.toPrecision(4));
}
