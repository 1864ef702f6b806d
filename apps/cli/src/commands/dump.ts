import { formatBytes, formatDuration } from "@db/core";
import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { wholeNumber } from "./dev.ts";

/** `db backup run --logical` */
export async function runDump(context: Context, input: Input): Promise<CommandResult> {
  const { dumps, backups, config } = await context.orchestrator();
  const repository = text(input, "repo") ?? backups.location;
  const physical = ["compression", "server-compression", "checkpoint", "max-rate"];
  const wrong = physical.filter((name) => input.flags[name] !== undefined);
  if (wrong.length > 0) {
    throw new UsageError(`${wrong.map((name) => `--${name}`).join(", ")} cannot be of a dump`, {
      hint: "Leave it out, or leave --logical out.",
    });
  }
  const { database } = config.connection!;
  const changes = [{ kind: "create_dump", object: `${database} in ${repository}` }];
  if (context.dryRun) {
    return { data: { repository, database }, text: `would dump ${database} into ${repository}`, changes };
  }
  const report = await dumps.run({ ...call(context, input), jobs: wholeNumber(input, "jobs", 1, 64) });
  const { label, bytes, storedBytes, durationMs, encrypted } = report;
  return {
    data: report,
    text: [
      `${label}: ${database}, ${formatBytes(bytes)} stored as ${formatBytes(storedBytes)} in ${formatDuration(durationMs)}`,
      encrypted ? "encrypted with AES-256-GCM" : "not encrypted: set BACKUP_ENCRYPTION_KEY for the next repository",
      "a dump restores to the moment it began; only a physical backup and WAL reach any other",
    ].join("\n"),
    changes,
    next: [`db backup verify ${label}`, `db restore plan --label ${label} --to-database <name>`],
  };
}

/** `db backup show <label>` of a dump */
export async function showDump(context: Context, input: Input, label: string): Promise<CommandResult> {
  const { dumps } = await context.orchestrator({ config: await context.config({ requireConnection: false }) });
  const dump = await dumps.show(label, call(context, input));
  const rows = [
    ["dump", dump.label],
    ["database", `${dump.database} of cluster ${dump.systemIdentifier}`],
    ["server", `PostgreSQL ${Math.floor(dump.serverVersion / 10_000)}, by pg_dump ${dump.clientMajor}`],
    ["as of (UTC)", dump.startedAt.slice(0, 19).replace("T", " ")],
    ["data", `${formatBytes(dump.bytes)} in ${dump.files} files`],
    ["stored", `${formatBytes(dump.storedBytes)}, ${dump.encrypted ? "encrypted" : "not encrypted"}`],
    ["roles", dump.roles.join(", ")],
    ["verified", dump.verifiedAt ?? "never"],
    ["mark", dump.mark ? `${dump.mark.kind} ${dump.mark.reason}`.trim() : "none"],
  ] as const;
  return { data: dump, text: rows.map(([name, value]) => `${name.padEnd(12)} ${value}`).join("\n") };
}

/** `db restore plan` of a dump */
export async function planDump(context: Context, input: Input, label: string): Promise<CommandResult> {
  const plan = await makePlan(context, input, label);
  const next = [`db restore run --label ${label} --to-database ${plan.database}`];
  return { data: plan, text: describe(plan), next };
}

/** `db restore run` of a dump */
export async function restoreDump(context: Context, input: Input, label: string): Promise<CommandResult> {
  const plan = await makePlan(context, input, label);
  const changes = [{ kind: plan.createsDatabase ? "create_database" : "fill_database", object: plan.database }];
  if (context.dryRun) return { data: plan, text: describe(plan), changes };
  const { dumps } = await context.orchestrator();
  const report = await dumps.restore(plan, { ...call(context, input), jobs: wholeNumber(input, "jobs", 1, 64) });
  return {
    data: report,
    text: `${label} restored into database ${report.database} in ${formatDuration(report.durationMs)}`,
    changes,
  };
}

async function makePlan(context: Context, input: Input, label: string) {
  const database = text(input, "to-database");
  const folderFlags = [
    "to",
    "cluster",
    "target",
    "exclusive",
    "timeline",
    "action",
    "tablespace",
    "pg-version",
    "replace",
    "delta",
    "out",
    "plan",
  ];
  const wrong = folderFlags.filter((name) => input.flags[name] !== undefined);
  if (database === undefined || wrong.length > 0) {
    const problem =
      wrong.length > 0
        ? `${wrong.map((name) => `--${name}`).join(", ")} cannot be of a dump`
        : "--to-database is missing";
    throw new UsageError(`${problem}: ${label} is a dump of one database, as it was when it began`, {
      hint: `Give a database to make: db restore run --label ${label} --to-database restored`,
    });
  }
  const { dumps } = await context.orchestrator();
  return dumps.planRestore({ label, database, owners: toggle(input, "owners") ?? true }, call(context, input));
}

function describe(plan: Awaited<ReturnType<typeof makePlan>>): string {
  const { dump, database, createsDatabase, bytes, losesAfter, client } = plan;
  return [
    `restore ${dump.label} (${dump.database}, PostgreSQL ${Math.floor(dump.serverVersion / 10_000)}) into database ${database}`,
    createsDatabase ? "the database is made" : "the database is there and empty",
    `${formatBytes(bytes)} to unpack, then pg_restore ${client.major}`,
    `everything committed after ${losesAfter} is not in it`,
  ].join("\n");
}

function call(context: Context, input: Input) {
  return { repository: text(input, "repo"), onProgress: context.onProgress, signal: context.signal };
}
