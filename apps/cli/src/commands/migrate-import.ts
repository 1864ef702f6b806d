import { resolve } from "node:path";
import { type CommandResult, type Input, text } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { findingsText } from "../findings-text.ts";

/** `db migrate import <source>`: another tool's folder as files of this one. Needs no database. */
export async function importFolder(context: Context, input: Input): Promise<CommandResult> {
  const { foreignTools, planImport, writeImport } = await import("@db/orchestrator/migrations");
  const named = text(input, "tool");
  const tool = foreignTools.find((each) => each === named);
  if (named !== undefined && tool === undefined) {
    throw new UsageError(`--tool is "${named}"`, { hint: `Use one of: ${foreignTools.join(", ")}.` });
  }
  const { config } = await context.config({ requireConnection: false });
  const planned = await planImport({
    source: resolve(context.cwd, input.arguments["source"]!),
    directory: resolve(context.cwd, text(input, "dir") ?? config.migrate.directory),
    ...(tool === undefined ? {} : { tool }),
  });
  const changes = planned.files.map(({ file }) => ({ kind: "create_file", object: file }));
  if (!context.dryRun) await writeImport(planned);
  const verb = context.dryRun ? "would be written" : "written";
  return {
    data: { ...planned, files: planned.files.map(({ content: _content, ...file }) => file) },
    text: [
      findingsText(planned.findings, context.terminal),
      `${planned.files.length} migrations of ${planned.tool} ${verb} to ${planned.directory}`,
    ]
      .filter((part) => part !== "")
      .join("\n"),
    findings: planned.findings,
    changes,
    next: ["db migrate status"],
  };
}
