import { formatExplanation } from "@db/config";
import type { CommandResult, Input } from "../command.ts";
import type { Context } from "../context.ts";

/** `db config show` */
export async function show(context: Context): Promise<CommandResult> {
  const { explain, files } = await context.config({ requireConnection: false });
  const settings = explain();
  return {
    data: { files, settings: Object.fromEntries(settings.map(({ key, value }) => [key, value])) },
    text: settings.map(({ key, value }) => `${key} = ${value}`).join("\n"),
    next: ["db config explain <key>"],
  };
}

/** `db config check`: the problems, if any, are the error that loading throws. */
export async function check(context: Context): Promise<CommandResult> {
  const { config, warnings, files } = await context.config({ requireConnection: false });
  return {
    data: { profile: config.profile, files, hasConnection: config.connection !== undefined },
    text: `the configuration holds: ${config.profile} profile, ${files.length} files read, ${warnings.length} warnings`,
    findings: warnings,
    gate: true,
  };
}

/** `db config explain [key]` */
export async function explain(context: Context, input: Input): Promise<CommandResult> {
  const loaded = await context.config({ requireConnection: false });
  const key = input.arguments["key"];
  const explanations = key === undefined ? loaded.explain() : [loaded.explain(key)];
  return { data: explanations, text: explanations.map(formatExplanation).join("\n") };
}
