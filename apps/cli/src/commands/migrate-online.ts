import type { OnlinePhase } from "@db/orchestrator";
import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { apply, folder, open } from "../migration-command.ts";

async function runPhase(phase: OnlinePhase, context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await open(context);
  const migration = input.arguments["migration"];
  const planned = await orchestrator.migrations.plan({
    ...folder(input),
    phase,
    ...(migration === undefined ? {} : { migration }),
  });
  const result = await apply(context, orchestrator, planned, input);
  return { ...result, next: next[phase] };
}

const next: Readonly<Record<OnlinePhase, readonly string[]>> = {
  expand: ["db migrate backfill", "db migrate cancel"],
  backfill: ["db migrate contract", "db migrate cancel"],
  contract: ["db migrate status"],
};

/** `db migrate expand [migration]` */
export function expand(context: Context, input: Input): Promise<CommandResult> {
  return runPhase("expand", context, input);
}

/** `db migrate backfill [migration]` */
export async function backfill(context: Context, input: Input): Promise<CommandResult> {
  if (toggle(input, "pause") !== true) return runPhase("backfill", context, input);
  const { migrations } = await open(context);
  if (context.dryRun) return { data: { asked: 0 }, text: "would ask the backfill under way to stop" };
  const asked = await migrations.pause();
  return {
    data: { asked },
    text: asked === 0 ? "no backfill is under way" : "asked the backfill to stop after its batch",
    next: ["db migrate backfill"],
  };
}

/** `db migrate contract [migration]` */
export function contract(context: Context, input: Input): Promise<CommandResult> {
  return runPhase("contract", context, input);
}

/** `db migrate cancel [migration]` */
export async function cancel(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await open(context);
  const migration = input.arguments["migration"];
  const planned = await orchestrator.migrations.planCancel({
    ...folder(input),
    ...(migration === undefined ? {} : { migration }),
  });
  return apply(context, orchestrator, planned, input);
}

/** `db migrate switch <schema>` */
export async function switchTo(context: Context, input: Input): Promise<CommandResult> {
  const { migrations } = await open(context);
  const baseSchema = text(input, "base") ?? "public";
  const wanted = input.arguments["schema"]!;
  const role = text(input, "role");
  const viewSchema = wanted === baseSchema ? null : wanted;
  const whose = role === undefined ? "new sessions" : `new sessions of ${role}`;
  const path = viewSchema === null ? baseSchema : `${viewSchema}, ${baseSchema}`;
  if (context.dryRun) return { data: { searchPath: path }, text: `would switch ${whose} to ${path}` };
  const { previous } = await migrations.switchVersion({
    viewSchema,
    baseSchema,
    ...(role === undefined ? {} : { role }),
  });
  return {
    data: { searchPath: path, previous },
    text: `${whose} use ${path}${previous === null ? "" : `; it was ${previous}`}`,
    changes: [{ kind: "switch_version", object: path }],
  };
}
