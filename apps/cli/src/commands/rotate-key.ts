import { type CommandResult, type Input, text } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { readFileArgument } from "../file-argument.ts";
import { openWithoutDatabase } from "../without-database.ts";

/** `db backup rotate-key` */
export async function rotate(context: Context, input: Input): Promise<CommandResult> {
  const file = text(input, "new-key-file");
  if (file === undefined) {
    throw new UsageError("--new-key-file is missing: the file that holds the new key", {
      hint: "Make one with: openssl rand -hex 32 > new-key; - reads it from standard input.",
    });
  }
  const newKey = (await readFileArgument(file, context)).trim();
  const { backups } = await openWithoutDatabase(context);
  const repository = text(input, "repo") ?? backups.location;
  const changes = [{ kind: "rotate_key", object: repository }];
  if (context.dryRun) return { data: { repository }, text: `would give ${repository} the key in ${file}`, changes };
  const call = { repository: text(input, "repo"), onProgress: context.onProgress, signal: context.signal };
  const report = await backups.rotateKey(newKey, call);
  return {
    data: report,
    text: `${report.dataKeys} data keys of ${repository} wrapped anew: key ${report.oldKeyId} is now ${report.newKeyId}`,
    changes,
    warnings: ["set BACKUP_ENCRYPTION_KEY to the new key wherever backups are taken, received or restored"],
  };
}
