import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { folder, open } from "../migration-command.ts";

/** `db reset` */
export async function reset(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await open(context);
  const { migrations, config } = orchestrator;
  const plan = await migrations.planReset();
  const losses = plan.schemas.map(({ name, tables, bytes }) => `schema ${name}: ${tables} tables, ${bytes} bytes`);
  const changes = plan.schemas.map(({ name }) => ({ kind: "drop_schema", object: name, destructive: true }));
  if (context.dryRun)
    return { data: plan, text: [`would remove from ${plan.database}:`, ...losses].join("\n"), changes };
  const { connection, profile } = config;
  if (toggle(input, "force") !== true || profile === "production") {
    await context.confirm({
      name: connection!.database,
      host: `${connection!.host}:${connection!.port}`,
      losses,
      safetyBackup: "none is taken: db backup run takes one",
    });
  }
  await migrations.reset(plan);
  const lines = [`emptied ${plan.database}: ${plan.schemas.length} schemas removed`];
  const data: Record<string, unknown> = { reset: plan };
  const seeds = toggle(input, "seed") === true;
  if (seeds || toggle(input, "migrate") === true) {
    const report = await migrations.apply(await migrations.plan(folder(input)), {
      onProgress: context.onProgress,
      signal: context.signal,
    });
    data["migrated"] = report;
    lines.push(`${report.applied.length} migrations applied`);
  }
  if (seeds) {
    const seed = orchestrator.application?.seed;
    if (seed === undefined) lines.push("no seed: the application named by --app has none");
    else {
      const scale = text(input, "scale");
      const report = await seed({
        url: connection!.primaryUrl.reveal(),
        onProgress: context.onProgress,
        signal: context.signal,
        ...(scale === undefined ? {} : { scale: Number(scale) }),
      });
      data["seeded"] = report;
      lines.push("example data loaded");
    }
  }
  return { data, text: lines.join("\n"), changes, next: ["db migrate status"] };
}
