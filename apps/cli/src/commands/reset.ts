import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { folder, open } from "../migration-command.ts";

/** `db reset`. What would go wrong afterwards is told while everything is still there. */
export async function reset(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await open(context);
  const { migrations, config } = orchestrator;
  const seeds = toggle(input, "seed") === true;
  const migrates = seeds || toggle(input, "migrate") === true;
  const seed = orchestrator.application?.seed;
  if (seeds && seed === undefined) {
    throw new UsageError("--seed needs an application that has example data", {
      hint: "Name it with --app, or leave --seed away.",
    });
  }
  const scale = scaleOf(input);
  if (migrates) {
    const { MigrationFilesError } = await import("@db/orchestrator/migrations");
    const { problems } = await migrations.lint({ ...folder(input), all: true });
    if (problems.length > 0) throw new MigrationFilesError(problems);
  }
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
  if (migrates) {
    const report = await migrations.apply(await migrations.plan(folder(input)), {
      onProgress: context.onProgress,
      signal: context.signal,
    });
    data["migrated"] = report;
    lines.push(`${report.applied.length} migrations applied`);
  }
  if (seeds && seed) {
    data["seeded"] = await seed({
      url: connection!.primaryUrl.reveal(),
      onProgress: context.onProgress,
      signal: context.signal,
      ...(scale === undefined ? {} : { scale }),
    });
    lines.push("example data loaded");
  }
  return { data, text: lines.join("\n"), changes, next: ["db migrate status"] };
}

function scaleOf(input: Input): number | undefined {
  const given = text(input, "scale");
  const scale = given === undefined ? undefined : Number(given);
  if (scale === undefined || (scale >= 0.01 && scale <= 100)) return scale;
  throw new UsageError(`--scale is "${given}"`, { hint: "Give a factor from 0.01 to 100." });
}
