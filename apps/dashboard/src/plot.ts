import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { byteTicks, niceCeiling, type Plotter, reachesLimit } from "./chart.tsx";
import { formatAxis, formatValue } from "./format.ts";
import { stackedPoints } from "./stack.ts";
import type { Chart } from "./view.ts";

const plots = new Map<HTMLElement, { plot: uPlot; shape: string; chart: Chart }>();
const height = 190;
const dashes: readonly (readonly number[])[] = [[], [6, 3], [2, 3], [8, 3, 2, 3], [1, 4], [12, 3]];

/** Draws a chart that answers to the pointer, over the still one. The still one's numbers stay as a table. */
export const plotLive: Plotter = (into, chart) => {
  const width = into.clientWidth || into.parentElement?.clientWidth || 0;
  if (width === 0) return;
  const known = plots.get(into);
  const shape = JSON.stringify([chart.series.map(({ label }) => label), chart.kind, chart.stacked, theme()]);
  if (known?.shape === shape) {
    known.chart = chart;
    known.plot.setData(dataOf(chart));
    return;
  }
  known?.plot.destroy();
  const entry = { shape, chart } as { plot: uPlot; shape: string; chart: Chart };
  entry.plot = new uPlot(optionsOf(into, entry, width), dataOf(chart), into);
  plots.set(into, entry);
  into.parentElement!.classList.add("is-live");
};

/** Draws every chart anew: another theme has other colours. */
export function replot(): void {
  for (const [into, { chart, plot }] of plots) {
    plot.destroy();
    plots.delete(into);
    if (into.isConnected) plotLive(into, chart);
  }
}

/** Fits the charts to their cards. */
export function refit(): void {
  for (const [into, { plot }] of plots) {
    if (!into.isConnected) plots.delete(into);
    else if (into.clientWidth > 0) plot.setSize({ width: into.clientWidth, height });
  }
}

function theme(): string {
  return colour("--bg");
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function dataOf(chart: Chart): uPlot.AlignedData {
  const count = Math.max(...chart.series.map(({ points }) => points.length));
  const [from, to] = [Date.parse(chart.from) / 1_000, Date.parse(chart.to) / 1_000];
  const step = count > 1 ? (to - from) / (count - 1) : 1;
  const lines = chart.stacked ? stackedPoints(chart.series) : chart.series.map(({ points }) => points);
  // What is stacked is drawn from the top down, so that each area shows its own part.
  const ordered = chart.stacked ? lines.toReversed() : lines;
  return [Array.from({ length: count }, (_, i) => from + i * step), ...ordered.map((points) => [...points])];
}

function optionsOf(into: HTMLElement, entry: { chart: Chart }, width: number): uPlot.Options {
  const { chart } = entry;
  const { kind = "count", stacked = false } = chart;
  const font = "12px system-ui, sans-serif";
  const [text, line, card] = [colour("--muted"), colour("--line"), colour("--card")];
  const lines = chart.series.map(({ label }, index): uPlot.Series => {
    const stroke = colour(`--line-${index % 6}`);
    return {
      label,
      stroke,
      width: stacked ? 1 : 2,
      dash: stacked ? [] : [...(dashes[index % 6] ?? [])],
      points: { show: false },
      spanGaps: true,
      ...(stacked
        ? { fill: `color-mix(in srgb, ${stroke} 68%, ${card})` }
        : chart.series.length === 1
          ? { fill: `${stroke}22` }
          : {}),
    };
  });
  const readout = document.createElement("p");
  readout.className = "readout";
  readout.setAttribute("aria-hidden", "true");
  return {
    width,
    height,
    padding: [10, 32, 0, 0],
    tzDate: (at) => uPlot.tzDate(new Date(at * 1_000), "Etc/UTC"),
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    legend: { show: false },
    series: [{}, ...(stacked ? lines.toReversed() : lines)],
    scales: {
      y: {
        range: (_plot, _min, max) => {
          const { limit } = entry.chart;
          return [
            0,
            niceCeiling(Math.max(max ?? 0, limit && reachesLimit(max ?? 0, limit.value) ? limit.value : 0), kind),
          ];
        },
      },
    },
    axes: [
      {
        font,
        stroke: text,
        grid: { show: false },
        ticks: { show: false },
        size: 24,
        space: 76,
        incrs: steps,
        values: (_plot, values, _axis, _space, step) => values.map((at) => clockText(at, step)),
      },
      {
        font,
        stroke: text,
        grid: { stroke: line, width: 1 },
        ticks: { show: false },
        size: 62,
        space: 36,
        values: (_plot, values) => values.map((value) => formatAxis(value, kind)),
        ...(kind === "bytes" && { splits: (_plot, _axis, _min, max) => [...byteTicks(max)] }),
      },
    ],
    hooks: {
      init: [() => into.append(readout)],
      draw: [(plot) => drawMarks(plot, entry.chart)],
      setCursor: [(plot) => (readout.textContent = readoutText(plot, entry.chart))],
    },
  };
}

const minute = 60;
const minutes = [1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1_440];
const steps = [1, 2, 5, 10, 15, 30, ...minutes.map((each) => each * minute)];

function clockText(at: number, step: number): string {
  const text = new Date(at * 1_000).toISOString();
  return step >= 12 * 3_600 ? text.slice(5, 10) : text.slice(11, step < minute ? 19 : 16);
}

function drawMarks(plot: uPlot, { limit, markers = [] }: Chart): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  const scale = plot.scales["y"]!;
  if (limit && limit.value <= (scale.max ?? 0)) {
    const y = Math.round(plot.valToPos(limit.value, "y", true));
    ctx.strokeStyle = colour("--bad");
    ctx.lineWidth = 1.5 * ratio;
    ctx.setLineDash([4 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.strokeStyle = ctx.fillStyle = colour("--accent");
  ctx.setLineDash([3 * ratio, 3 * ratio]);
  ctx.lineWidth = ratio;
  ctx.font = `bold ${11 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  for (const { x, from, to } of flags(plot, markers)) {
    ctx.beginPath();
    ctx.moveTo(x, bbox.top + 14 * ratio);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(from === to ? String(from) : `${from}–${to}`, x, bbox.top + 10 * ratio);
  }
  ctx.restore();
}

// What was deployed together shares a flag that names the first and the last; the list below tells each.
function flags(plot: uPlot, markers: NonNullable<Chart["markers"]>): { x: number; from: number; to: number }[] {
  const told: { x: number; from: number; to: number }[] = [];
  for (const [index, { at }] of markers.entries()) {
    const x = Math.round(plot.valToPos(Date.parse(at) / 1_000, "x", true));
    const last = told.at(-1);
    if (last && x - last.x < 34 * devicePixelRatio) last.to = index + 1;
    else told.push({ x, from: index + 1, to: index + 1 });
  }
  return told;
}

function readoutText(plot: uPlot, chart: Chart): string {
  const at = plot.cursor.idx;
  if (at == null) return "";
  const time = new Date(plot.data[0][at]! * 1_000).toISOString();
  const values = chart.series.flatMap(({ label, points }) => {
    const value = points[at];
    return value == null ? [] : [`${label} ${formatValue(value, chart.kind ?? "count", chart.to)}`];
  });
  return `${time.slice(11, 19)} UTC  ${values.join("  ·  ")}`;
}
