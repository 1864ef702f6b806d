import { formatDuration } from "@db/core";
import type { Application } from "@db/orchestrator";
import type { ExampleReport } from "./run-example.ts";

/** A report as people read it: one line a step, one line a query. */
export function exampleText(application: Application, report: ExampleReport): string {
  const { migrations, seed, validation, indexes, queries } = report;
  const failed = validation.results.filter((result) => result.status === "failed");
  const rows = Object.values(seed?.rows ?? {}).reduce((a, b) => a + b, 0);
  const lines = [
    application.title,
    line("migrations", migrations.length > 0 ? `${migrations.length} applied` : "all were applied"),
    line("data", seed === null ? "none" : `${rows.toLocaleString("en")} rows, ${loadedText(seed)}`),
    line(
      "validation",
      `score ${validation.score ?? "unknown"}, ${failed.length} of ${validation.results.length} rules failed`,
    ),
    ...failed.map((result) => line("", `${result.id}: ${(result.violations ?? 0).toLocaleString("en")}`)),
    line("indexes", indexes.length > 0 ? `${indexes.length} made` : "all were there"),
    ...queries.map(({ name, beforeMs, afterMs, indexes }) => {
      const times = beforeMs === null ? milliseconds(afterMs) : `${milliseconds(beforeMs)} → ${milliseconds(afterMs)}`;
      return line("", `${name}: ${times}${indexes.length > 0 ? `, by ${indexes.join(", ")}` : ""}`);
    }),
  ];
  return `${lines.join("\n")}\n`;
}

const line = (label: string, text: string): string => `  ${label.padEnd(12)}${text}`;
const milliseconds = (ms: number): string => `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
const loadedText = (seed: NonNullable<ExampleReport["seed"]>): string =>
  seed.skipped ? "loaded before" : `loaded in ${formatDuration(seed.durationMs)}`;
