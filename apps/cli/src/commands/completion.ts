import type { CommandResult, Input } from "../command.ts";
import { commands } from "../commands.ts";
import { completionScript, shells } from "../completion.ts";
import type { Context } from "../context.ts";
import { globalFlags } from "../parse.ts";

/** `db completion <shell>` */
export async function completion(_context: Context, input: Input): Promise<CommandResult> {
  const shell = shells.find((each) => each === input.arguments["shell"])!;
  const script = completionScript(shell, commands, globalFlags);
  return { data: { shell, script }, text: script.trimEnd() };
}
