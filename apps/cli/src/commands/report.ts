import { compareFindings } from "@db/core";
import { buildReport, renderReportHtml, renderReportText, standingFindings } from "@db/orchestrator";
import { type CommandResult, type Input, text } from "../command.ts";
import type { Context } from "../context.ts";
import { writeFileArgument } from "../file-argument.ts";

/** `db report` */
export async function report(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await context.orchestrator({ readOnly: true });
  const { monitor, application, config } = orchestrator;
  const snapshot = await monitor.collect({ signal: context.signal, force: true });
  const title = application?.title ?? config.connection?.database ?? "PostgreSQL";
  const findings = [...monitor.findings(), ...(await standingFindings(orchestrator, context.signal))].toSorted(
    compareFindings,
  );
  const made = buildReport({ snapshot, title, alerts: monitor.alertHistory(), findings });
  const page = text(input, "format") === "html" ? renderReportHtml(made) : renderReportText(made);
  const out = text(input, "out");
  if (out !== undefined) await writeFileArgument(out, page, context);
  return {
    data: made,
    text:
      out === undefined || out === "-"
        ? page.trimEnd()
        : `${context.dryRun ? "would be written" : "written"} to ${out}`,
    findings: made.findings,
    ...(out === undefined ? {} : { changes: [{ kind: "write_file", object: out }] }),
  };
}
