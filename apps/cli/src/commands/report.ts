import { renderReportHtml, renderReportText } from "@db/orchestrator";
import { type CommandResult, type Input, text } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { writeFileArgument } from "../file-argument.ts";

/** `db report` */
export async function report(context: Context, input: Input): Promise<CommandResult> {
  const [html, file] = [text(input, "html"), text(input, "out")];
  if (html !== undefined && file !== undefined)
    throw new UsageError("--html and --out are both given", { hint: "--html <file> is --format html --out <file>." });
  const out = html ?? file;
  const asPage = html !== undefined || text(input, "format") === "html";
  const { reports } = await context.orchestrator({ readOnly: true });
  const made = await reports.make(context.signal);
  const page = asPage ? renderReportHtml(made) : renderReportText(made);
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
