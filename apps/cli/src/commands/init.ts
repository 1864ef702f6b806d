import { runMainJob } from "@db/orchestrator";
import { type CommandResult, type Input, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { exitCode } from "../exit-code.ts";
import { findingsText } from "../findings-text.ts";
import { requireConnected } from "../main-job-result.ts";
import { stepPrinter } from "../step-text.ts";

/** `db init`: the main job on the configured database. */
export async function init(context: Context, input: Input): Promise<CommandResult> {
  const readOnly = toggle(input, "read-only") === true || context.dryRun;
  const loaded = await context.config();
  const orchestrator = await context.orchestrator({ readOnly, config: loaded });
  const report = await runMainJob(orchestrator, {
    onStep: stepPrinter(context.terminal, (line) => context.terminal.say(line)),
    onProgress: context.onProgress,
    signal: context.signal,
  });
  requireConnected(report);
  const findings = findingsText(report.findings, context.terminal, 15);
  return {
    data: report,
    text: [
      findings,
      `${report.steps.filter(({ status }) => status === "done").length} of ${report.steps.length} steps done in ${(report.durationMs / 1_000).toFixed(1)} s`,
    ]
      .filter((part) => part !== "")
      .join("\n"),
    findings: report.findings,
    next: ["db serve", "db health", "db optimize"],
    ...(report.ok ? {} : { exitCode: exitCode.failure }),
  };
}
