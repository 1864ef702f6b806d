import { runWalCommand } from "@db/backup/wal-command";
import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { WalFileError } from "../errors.ts";

/** `db wal push <file>` with more than the plain words that `wal-main.ts` answers. */
export function push(context: Context, input: Input): Promise<CommandResult> {
  return ask(context, input, ["push", input.arguments["file"]!]);
}

/** `db wal fetch <name> <file>`, the same. */
export function fetch(context: Context, input: Input): Promise<CommandResult> {
  const tails = toggle(input, "tails") === true ? ["--tails"] : [];
  return ask(context, input, ["fetch", input.arguments["name"]!, input.arguments["file"]!, ...tails]);
}

async function ask(context: Context, input: Input, words: readonly string[]): Promise<CommandResult> {
  const { config } = await context.config({ requireConnection: false });
  const repository = text(input, "repo") ?? config.backup.repository;
  const socket = text(input, "socket");
  const [verb, name] = words;
  const changes = [{ kind: `wal_${verb}`, object: name! }];
  if (context.dryRun) {
    const how = verb === "push" ? `would store ${name} in ${repository}` : `would bring ${name} from ${repository}`;
    return { data: { repository, name }, text: how, changes };
  }
  const { exitCode, message } = await runWalCommand({
    arguments: [...words, "--repo", repository, ...(socket === undefined ? [] : ["--socket", socket])],
    environment: { BACKUP_ENCRYPTION_KEY: config.backup.encryptionKey?.reveal() },
    workingDirectory: context.cwd,
  });
  if (exitCode > 1) {
    const [problem, hint] = message.split("\nhint: ");
    throw new WalFileError(problem!, hint === undefined ? {} : { hint });
  }
  if (message !== "") context.terminal.say(message);
  const data = { repository, name, found: exitCode === 0, message };
  return { data, text: "", exitCode, changes: exitCode === 0 ? changes : [] };
}
