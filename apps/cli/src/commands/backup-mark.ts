import { type BackupWish, isDumpLabel } from "@db/orchestrator";
import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { openWithoutDatabase } from "../without-database.ts";

/** `db backup keep <label>` */
export function keep(context: Context, input: Input): Promise<CommandResult> {
  return mark(context, input, "keep");
}

/** `db backup hold <label>` */
export function hold(context: Context, input: Input): Promise<CommandResult> {
  return mark(context, input, "hold");
}

async function mark(context: Context, input: Input, wanted: "keep" | "hold"): Promise<CommandResult> {
  const { backups, dumps } = await openWithoutDatabase(context);
  const label = input.arguments["label"]!;
  const service = isDumpLabel(label) ? dumps : backups;
  const call = { repository: text(input, "repo"), signal: context.signal };
  const kind = toggle(input, "release") === true ? "none" : wanted;
  const until = text(input, "until");
  const wish: BackupWish = { kind, until: kind === "keep" ? until : undefined, reason: text(input, "reason") };
  const done = kind === "none" ? "is free again" : kind === "hold" ? "is held" : `is kept${untilText(until)}`;
  const changes = [{ kind: kind === "none" ? "release_backup" : `${kind}_backup`, object: label }];
  // Shown first, so that a dry run refuses a wrong name too.
  const found = await service.show(label, call);
  if (context.dryRun) return { data: found, text: `would mark: ${label} ${done}`, changes };
  return { data: await service.mark(label, wish, call), text: `${label} ${done}`, changes };
}

function untilText(until: string | undefined): string {
  return until === undefined ? " for good" : ` until ${until}`;
}
