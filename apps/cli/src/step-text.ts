import { formatDuration } from "@db/core";
import type { StepEvent } from "@db/orchestrator";
import type { Terminal } from "./terminal.ts";

const marks = { done: ["green", "✓"], skipped: ["dim", "–"], failed: ["red", "✗"] } as const;

/** Prints each step of the main job as it ends: its mark, title, what it did, how long it took. */
export function stepPrinter(terminal: Terminal, print: (line: string) => void): (event: StepEvent) => void {
  return (event) => {
    if (event.type === "started") {
      terminal.progress({
        phase: event.name,
        current: event.number - 1,
        total: event.of,
        unit: "steps",
        message: event.title,
      });
      return;
    }
    const { status, title, detail, hint, durationMs, facts } = event.report;
    // What stands on a failed step is not worth a line each.
    if (status === "skipped" && facts["blocked"] === true) return;
    const [color, mark] = marks[status];
    print(
      `${terminal.paint(color, mark)} ${title.padEnd(43)} ${detail} ${terminal.paint("dim", `(${formatDuration(durationMs)})`)}`,
    );
    if (hint !== null) print(`    ${hint}`);
  };
}
