import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { formatAxis, formatInstant, formatValue } from "./format.ts";
import { stackedPoints } from "./stack.ts";
import type { CellKind } from "./page-view.ts";
import type { Chart as ChartView, Series } from "./view.ts";

const width = 600;
const height = 160;
const padding = { top: 8, bottom: 2 };

/** Draws a live chart into an element, over the one that came with the page. */
export type Plotter = (into: HTMLElement, chart: ChartView) => void;

let plotter: Plotter | undefined;

/** Tells charts that they are in a browser. */
export function plotWith(given: Plotter): void {
  plotter = given;
}

/** Lines over time: drawn as SVG on the server, live in a browser, and always there as a table of numbers. */
export function Chart({ chart }: { readonly chart: ChartView }): JSX.Element {
  const live = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (live.current) plotter?.(live.current, chart);
  });
  const { kind = "count", limit } = chart;
  return (
    <figure class="chart" aria-label={summary(chart)}>
      <figcaption>
        <span class="chart-title">
          {chart.title} <span class="muted">{chart.unit}</span>
        </span>
        <ul class="legend">
          {chart.series.map((series, index) => (
            <li class="legend-item" key={series.label}>
              {chart.stacked ? (
                <svg width="12" height="12" aria-hidden="true" focusable="false">
                  <rect width="12" height="12" rx="2" class={`fill-${index % 6}`} />
                </svg>
              ) : (
                <svg width="20" height="8" aria-hidden="true" focusable="false">
                  <line x1="0" y1="4" x2="20" y2="4" class={`line line-${index % 6}`} />
                </svg>
              )}
              {series.label} <b>{latest(series, chart)}</b>
            </li>
          ))}
          {limit && (
            <li class="legend-item">
              <svg width="20" height="8" aria-hidden="true" focusable="false">
                <line x1="0" y1="4" x2="20" y2="4" class="limit" />
              </svg>
              {limit.label} <b>{formatValue(limit.value, kind, chart.to)}</b>
            </li>
          )}
        </ul>
      </figcaption>
      <div class="plot">
        <Still chart={chart} />
        <div class="plot-live" ref={live} />
      </div>
      <Markers chart={chart} />
      <details class="as-table">
        <summary>
          Show as table<span class="hidden">: {chart.title}</span>
        </summary>
        <div class="scroll" tabIndex={0} role="region" aria-label={`${chart.title} as a table, scrollable`}>
          <ChartTable chart={chart} />
        </div>
      </details>
    </figure>
  );
}

/** What was deployed meanwhile; more than fits in a line or two opens. */
function Markers({ chart: { title, markers = [] } }: { readonly chart: ChartView }): JSX.Element | null {
  if (markers.length === 0) return null;
  const list = (
    <ol class="markers" aria-label={`Deployed meanwhile, ${title}`}>
      {markers.map((marker, index) => (
        <li key={`${marker.at}:${marker.label}`}>
          <b class="flag">{index + 1}</b> <time dateTime={marker.at}>{formatInstant(marker.at).slice(11, 16)}</time>{" "}
          {marker.label}
        </li>
      ))}
    </ol>
  );
  if (markers.length <= 3) return list;
  return (
    <details class="as-table">
      <summary>
        {markers.length} deployed meanwhile<span class="hidden">: {title}</span>
      </summary>
      {list}
    </details>
  );
}

/** The chart without scripts. */
function Still({ chart }: { readonly chart: ChartView }): JSX.Element {
  const { kind = "count", limit, markers = [], stacked = false } = chart;
  const lines = stacked ? stackedPoints(chart.series) : chart.series.map(({ points }) => points);
  const peak = Math.max(0, ...lines.flatMap((points) => points.filter((point) => point !== null)));
  const showLimit = limit !== undefined && reachesLimit(peak, limit.value);
  const top = niceCeiling(Math.max(peak, showLimit ? limit.value : 0), kind);
  const y = (value: number): number => padding.top + (1 - value / top) * (height - padding.top - padding.bottom);
  const [from, to] = [Date.parse(chart.from), Date.parse(chart.to)];
  const x = (at: string): number => ((Date.parse(at) - from) / Math.max(1, to - from)) * width;
  return (
    <div class="still">
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="presentation" focusable="false">
        {[0, 0.5, 1].map((share) => (
          <line key={share} class="grid" x1="0" x2={width} y1={y(top * share)} y2={y(top * share)} />
        ))}
        {showLimit && <line class="limit" x1="0" x2={width} y1={y(limit.value)} y2={y(limit.value)} />}
        {lines
          .map((points, index) => (
            <g key={chart.series[index]!.label}>
              {(stacked || (index === 0 && lines.length === 1)) && (
                <path class={stacked ? `fill-${index % 6}` : "area"} d={areaPath(points, y)} />
              )}
              <path class={`line line-${index % 6}`} d={linePath(points, y)} vector-effect="non-scaling-stroke" />
            </g>
          ))
          .toReversed()}
        {markers.map(({ at, label }) => (
          <line key={`${at}:${label}`} class="marker" x1={x(at)} x2={x(at)} y1="0" y2={height} />
        ))}
      </svg>
      <span class="axis axis-top">{formatAxis(top, kind)}</span>
      <span class="axis axis-bottom">0</span>
      <p class="chart-clock muted">
        <span>{clock(chart.from, chart)}</span>
        <span>{clock(chart.to, chart)} UTC</span>
      </p>
    </div>
  );
}

/** A limit sets the scale only when the lines come near it: far above, it would press them flat. */
export function reachesLimit(peak: number, limit: number): boolean {
  return peak > limit * 0.5;
}

function clock(at: string, { from, to }: ChartView): string {
  const span = Date.parse(to) - Date.parse(from);
  if (span > 86_400_000) return formatInstant(at).slice(5, 16);
  return formatInstant(at).slice(11, span < 600_000 ? 19 : 16);
}

function ChartTable({ chart }: { readonly chart: ChartView }): JSX.Element {
  const count = Math.max(0, ...chart.series.map((series) => series.points.length));
  const step = count > 1 ? (Date.parse(chart.to) - Date.parse(chart.from)) / (count - 1) : 0;
  // The newest twelve that hold something: a table is read, not scanned.
  const rows = Array.from({ length: count }, (_, index) => count - 1 - index)
    .filter((row) => chart.series.some(({ points }) => points[row] != null))
    .slice(0, 12);
  return (
    <table>
      <caption>
        {chart.title}, {chart.unit}, newest first
      </caption>
      <thead>
        <tr>
          <th scope="col">Time</th>
          {chart.series.map((series) => (
            <th scope="col" class="number" key={series.label}>
              {series.label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row}>
            <th scope="row">{formatInstant(new Date(Date.parse(chart.from) + row * step).toISOString()).slice(11)}</th>
            {chart.series.map((series) => (
              <td class="number" key={series.label}>
                {series.points[row] == null
                  ? "unknown"
                  : formatValue(series.points[row]!, chart.kind ?? "count", chart.to)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function summary(chart: ChartView): string {
  const lines = chart.series.map((series) => `${series.label} now ${latest(series, chart)}`).join(", ");
  const markers = chart.markers?.length ? `; ${chart.markers.length} marked` : "";
  return `${chart.title}, ${chart.unit}: ${lines}${markers}`;
}

/** What it is now. A line that ended before the others did is no more: of parts of a whole nothing is left of it. */
export function latest(series: Series, { kind = "count", to, stacked, series: all }: ChartView): string {
  const end = Math.max(...all.map(({ points }) => lastKnown(points)));
  const last = lastKnown(series.points);
  if (last < 0) return "unknown";
  if (stacked && last < end) return formatValue(0, kind, to);
  // A gap of one step is a late reading.
  if (last < end - 1) return "–";
  const value = series.points[last]!;
  // A point is a mean over its step: of things that are counted, most are whole.
  return formatValue(kind === "count" && value >= 1 ? Math.round(value) : value, kind, to);
}

type Points = readonly (number | null)[];

function lastKnown(points: Points): number {
  return points.findLastIndex((point) => point !== null);
}

function linePath(points: Points, y: (value: number) => number): string {
  const step = points.length > 1 ? width / (points.length - 1) : width;
  let pen = "M";
  return points
    .map((point, index) => {
      // A gap of one step is a late reading, not an outage.
      if (point === null) {
        if (points[index + 1] == null) pen = "M";
        return "";
      }
      const part = `${pen}${(index * step).toFixed(1)} ${y(point).toFixed(1)}`;
      pen = "L";
      return part;
    })
    .join("");
}

function areaPath(points: Points, y: (value: number) => number): string {
  const first = points.findIndex((point) => point !== null);
  const last = lastKnown(points);
  if (first < 0 || first === last) return "";
  const step = width / (points.length - 1);
  let known = 0;
  const filled = points.map((point, index) => {
    if (index < first || index > last) return null;
    known = point ?? known;
    return known;
  });
  return `${linePath(filled, y)}L${(last * step).toFixed(1)} ${y(0)}L${(first * step).toFixed(1)} ${y(0)}Z`;
}

/** The next round number: an axis that people read without counting, and lines that fill it. */
export function niceCeiling(value: number, kind: CellKind = "count"): number {
  if (value <= 0) return kind === "bytes" ? 1_024 : 1;
  if (kind === "ratio" && value > 0.75) return 1;
  if (kind === "bytes") {
    const step = byteStep(value);
    return Math.ceil(value / step) * step;
  }
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 1.5, 2, 3, 5, 7.5, 10]) if (value <= step * power) return step * power;
  return 10 * power;
}

/** The round numbers at which an axis of bytes is labelled: from 0 to its ceiling, in steps of a power of two's unit. */
export function byteTicks(ceiling: number): readonly number[] {
  const step = byteStep(ceiling);
  return Array.from({ length: Math.round(ceiling / step) + 1 }, (_, index) => index * step);
}

// At most four steps up to a value. A quarter of a unit is 256 of the one below.
function byteStep(value: number): number {
  const unit = 1_024 ** Math.max(0, Math.floor(Math.log2(value) / 10));
  const least = value / unit / 4;
  const factor = [0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 250].find((each) => each >= least) ?? 256;
  return Math.max(1, factor * unit);
}
