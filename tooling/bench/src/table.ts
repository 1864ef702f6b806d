import type { BenchmarkReport } from "./measuring.ts";
import { summarize } from "./statistics.ts";

/** A report for people: who was how fast, then every figure. */
export function formatReport(report: BenchmarkReport): string {
  const { machine, title, rounds, seed, skipped } = report;
  const gigabytes = Math.round(machine.memoryBytes / 1024 ** 3);
  const server = machine.postgres === "" ? "" : `, PostgreSQL ${machine.postgres}`;
  const lines = [
    `${title} (${rounds} rounds, seed ${seed}${report.quick ? ", quick" : ""})`,
    `${machine.cpu}, ${machine.cores} cores, ${gigabytes} GB, load ${machine.loadAverage}; Node ${machine.node}${server}`,
    "",
    ...columns([["case", "contender", "version", "median ms", "min", "max", "per second"], ...contenderRows(report)]),
    "",
    ...columns([["figure", "value"], ...Object.entries(report.figures).map(([key, value]) => [key, format(value)])]),
    ...skipped.map(({ contender, case: name, reason }) => `without ${contender ?? name}: ${reason}`),
  ];
  return `${lines.join("\n")}\n`;
}

function contenderRows({ cases, contenders, measurements }: BenchmarkReport): string[][] {
  return cases.flatMap(({ name: inCase }) =>
    contenders.flatMap(({ name, version }) => {
      const runs = measurements.filter((each) => each.case === inCase && each.contender === name);
      if (runs.length === 0) return [];
      const { median, min, max } = summarize(runs.map(({ durationMs }) => durationMs));
      const operations = runs[0]?.operations ?? 0;
      return [[inCase, name, version, format(median), format(min), format(max), format((operations * 1_000) / median)]];
    }),
  );
}

/** Rows padded to columns; numbers stand at the right. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const numeric = widths.map((_, column) => rows.slice(1).every((row) => /^[\d.,]+$/.test(row[column] ?? "")));
  return rows.map((row) =>
    row
      .map((cell, column) => (numeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

function format(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3)));
}
