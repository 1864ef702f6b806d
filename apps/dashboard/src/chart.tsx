import type { JSX } from "preact";
import { formatInstant, formatNumber } from "./format.ts";
import type { Chart as ChartView, Series } from "./view.ts";

const width = 600;
const height = 140;
const padding = { top: 8, bottom: 4 };

/** Lines over time as SVG, drawn alike on the server and in the browser, with the same numbers as a table. */
export function Chart({ chart }: { readonly chart: ChartView }): JSX.Element {
  const values = chart.series.flatMap((series) => series.points.filter((point) => point !== null));
  const known = values.length > 0;
  const peak = known ? Math.max(...values) : 0;
  // The limit sets the scale only when the lines come near it: far above, it would press them flat.
  const showLimit = chart.limit !== undefined && peak > chart.limit.value * 0.5;
  const top = niceCeiling(Math.max(peak, showLimit ? chart.limit!.value : 0));
  const y = (value: number): number => padding.top + (1 - value / top) * (height - padding.top - padding.bottom);
  return (
    <figure class="chart" aria-label={summary(chart)}>
      <figcaption>
        <span class="chart-title">
          {chart.title} <span class="muted">{chart.unit}</span>
        </span>
        <span class="legend">
          {chart.series.map((series, index) => (
            <span class="legend-item" key={series.label}>
              <svg width="18" height="8" aria-hidden="true" focusable="false">
                <line x1="0" y1="4" x2="18" y2="4" class={`line line-${index}`} />
              </svg>
              {series.label} <b>{latest(series)}</b>
            </span>
          ))}
          {chart.limit && (
            <span class="legend-item muted">
              {chart.limit.label} {formatNumber(chart.limit.value)}
            </span>
          )}
        </span>
      </figcaption>
      <div class="plot">
        <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="presentation" focusable="false">
          {[0, 0.5, 1].map((share) => (
            <line key={share} class="grid" x1="0" x2={width} y1={y(top * share)} y2={y(top * share)} />
          ))}
          {showLimit && <line class="limit" x1="0" x2={width} y1={y(chart.limit!.value)} y2={y(chart.limit!.value)} />}
          {chart.series.map((series, index) => (
            <g key={series.label}>
              {index === 0 && <path class="area" d={areaPath(series, y)} />}
              <path class={`line line-${index}`} d={linePath(series, y)} vector-effect="non-scaling-stroke" />
            </g>
          ))}
        </svg>
        <span class="axis axis-top">{formatNumber(top)}</span>
        <span class="axis axis-bottom">0</span>
      </div>
      <p class="chart-clock muted">
        <span>{formatInstant(chart.from).slice(11, 19)}</span>
        <span>{formatInstant(chart.to).slice(11)}</span>
      </p>
      <details class="as-table">
        <summary>Show as table</summary>
        <div class="scroll" tabIndex={0} role="region" aria-label={`${chart.title} as a table, scrollable`}>
          <ChartTable chart={chart} />
        </div>
      </details>
    </figure>
  );
}

function ChartTable({ chart }: { readonly chart: ChartView }): JSX.Element {
  const count = Math.max(0, ...chart.series.map((series) => series.points.length));
  const step = count > 1 ? (Date.parse(chart.to) - Date.parse(chart.from)) / (count - 1) : 0;
  // The newest twelve: a table is read, not scanned.
  const rows = Array.from({ length: Math.min(12, count) }, (_, index) => count - 1 - index);
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
                {series.points[row] == null ? "unknown" : formatNumber(series.points[row]!)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function summary(chart: ChartView): string {
  return `${chart.title}, ${chart.unit}: ${chart.series.map((series) => `${series.label} now ${latest(series)}`).join(", ")}`;
}

function latest(series: Series): string {
  const value = series.points.findLast((point) => point !== null);
  return value == null ? "unknown" : formatNumber(value);
}

function linePath(series: Series, y: (value: number) => number): string {
  const step = series.points.length > 1 ? width / (series.points.length - 1) : width;
  let pen = "M";
  return series.points
    .map((point, index) => {
      if (point === null) {
        pen = "M";
        return "";
      }
      const part = `${pen}${(index * step).toFixed(1)} ${y(point).toFixed(1)}`;
      pen = "L";
      return part;
    })
    .join("");
}

function areaPath(series: Series, y: (value: number) => number): string {
  const first = series.points.findIndex((point) => point !== null);
  const last = series.points.findLastIndex((point) => point !== null);
  if (first < 0 || first === last) return "";
  const step = width / (series.points.length - 1);
  return `${linePath({ ...series, points: series.points.map((point, index) => (index < first || index > last ? null : (point ?? 0))) }, y)}L${(last * step).toFixed(1)} ${y(0)}L${(first * step).toFixed(1)} ${y(0)}Z`;
}

/** The next round number: an axis that people read without counting, and lines that fill it. */
export function niceCeiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 1.5, 2, 3, 5, 7.5, 10]) if (value <= step * power) return step * power;
  return 10 * power;
}
