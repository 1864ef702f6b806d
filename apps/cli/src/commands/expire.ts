import { basename } from "node:path";
import { formatBytes } from "@db/core";
import type { RecoveryWindow, RetainedObject, RetentionPolicy } from "@db/orchestrator";
import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { openWithoutDatabase } from "../without-database.ts";
import { wholeNumber } from "./dev.ts";

/** `db backup expire` */
export async function expire(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await openWithoutDatabase(context);
  const { backups, dumps } = orchestrator;
  const policy = policyOf(input) ?? backups.retention;
  const { plan, objects, before, after } = await backups.explainRetention({ ...call(context, input), policy });
  const dumpPlan = await dumps.planExpiration(policy, call(context, input));
  const going = [...plan.expire, ...plan.incomplete, ...dumpPlan.expire, ...dumpPlan.incomplete];
  const keep = [...plan.keep, ...dumpPlan.keep];
  const freedBytes = plan.freedBytes + dumpPlan.freedBytes;
  const wal = plan.wal ?? [];
  const walFiles = wal.reduce((sum, archive) => sum + archive.expire.length, 0);
  const lines = [
    ...keep.map(({ label, reasons }) => `keep    ${label}: ${reasons.join("; ")}`),
    ...going.map(({ label, reason }) => `expire  ${label}: ${reason}`),
    ...wal.map(
      ({ keptFiles, expire: gone, reason }) => `WAL     ${keptFiles} files stay, ${gone.length} go: ${reason}`,
    ),
    ...(toggle(input, "explain") === true ? explanation(objects, before, after) : []),
    `${going.length} to expire, ${formatBytes(freedBytes)} freed, ${keep.length} kept`,
  ];
  const changes = [
    ...going.map(({ label }) => ({ kind: "expire_backup", object: label, destructive: true })),
    ...wal.flatMap(({ expire: gone }) =>
      gone.map(({ name }) => ({ kind: "expire_wal", object: name, destructive: true })),
    ),
  ];
  if (context.dryRun || changes.length === 0)
    return {
      data: { ...plan, dumps: dumpPlan, freedBytes, policy, objects, before, after },
      text: lines.join("\n"),
      changes,
    };
  await context.confirm({
    // Without a database it is the repository's own folder that is named.
    name: orchestrator.config.connection?.database ?? basename(text(input, "repo") ?? backups.location),
    host: text(input, "repo") ?? backups.location,
    losses: [
      ...going.map(({ label, reason }) => `backup ${label}: ${reason}`),
      ...(walFiles > 0 ? [`${walFiles} files of WAL that no backup needs`] : []),
    ],
    safetyBackup: `${keep.length} backups stay`,
  });
  const physical = await backups.expire(plan, call(context, input));
  const logical = await dumps.expire(dumpPlan, call(context, input));
  const report = {
    ...physical,
    removed: [...physical.removed, ...logical.removed],
    skipped: [...physical.skipped, ...logical.skipped],
    freedBytes: physical.freedBytes + logical.freedBytes,
  };
  const skipped = report.skipped.map(({ label, reason }) => `left    ${label}: ${reason}`);
  return { data: report, text: [...lines, ...skipped].join("\n"), changes };
}

function explanation(
  objects: readonly RetainedObject[],
  before: readonly RecoveryWindow[],
  after: readonly RecoveryWindow[],
): string[] {
  const window = ({ anyMomentFrom, moments }: RecoveryWindow): string =>
    `${moments.length} backups${anyMomentFrom === null ? "" : `, any moment from ${anyMomentFrom}`}`;
  return [
    ...objects
      .filter(({ kind }) => kind === "wal")
      .map(({ name, stays, why }) => `${stays ? "keep  " : "expire"}  ${name}: ${why}`),
    ...before.map((each) => {
      const left = after.find(({ systemIdentifier }) => systemIdentifier === each.systemIdentifier);
      return `cluster ${each.systemIdentifier}: now ${window(each)}; then ${left ? window(left) : "nothing"}`;
    }),
  ];
}

function policyOf(input: Input): RetentionPolicy | undefined {
  const number = (name: string): number | undefined => wholeNumber(input, name, 0, 100_000);
  const [hourly, daily, weekly, monthly] = ["hourly", "daily", "weekly", "monthly"].map(number);
  const tiers = { ...defined({ hourly }), ...defined({ daily }), ...defined({ weekly }), ...defined({ monthly }) };
  const policy = {
    ...defined({ keepFull: number("keep-full") }),
    ...defined({ keepDays: number("keep-days") }),
    ...(Object.keys(tiers).length > 0 ? { tiers } : {}),
    ...defined({ minVerified: number("min-verified") }),
  };
  return Object.keys(policy).length === 0 ? undefined : policy;
}

function defined<T extends object>(fields: T): Partial<{ [Name in keyof T]: Exclude<T[Name], undefined> }> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

function call(context: Context, input: Input) {
  return { repository: text(input, "repo"), onProgress: context.onProgress, signal: context.signal };
}
