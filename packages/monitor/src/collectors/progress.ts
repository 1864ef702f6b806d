import { type Collector, defineMetrics, toNumber, toText } from "../collector.ts";
import type { MetricTable } from "../snapshot.ts";
import { readActivity } from "./activity.ts";
import { type ProgressCommand, progressCommands, progressCommandsOn } from "./progress-commands.ts";

const labelNames = ["pid", "datname", "relid", "phase"] as const;
const metricName = (command: string): string => `pg_stat_progress_${command}_ratio`;

const metricsOf: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  progressCommands.map(({ command }) => [command, [metricName(command)]]),
);

/** How far long commands are; one series for each that runs. */
export const progressCollector: Collector = {
  name: "progress",
  tier: "T0",
  per: "server",
  scope: "any",
  since: 12,
  metrics: defineMetrics(
    progressCommands.map(({ command, help, since }) => ({
      name: metricName(command),
      type: "gauge" as const,
      help,
      ...(since !== undefined && { since }),
    })),
    { name: "progress", tier: "T0" },
    labelNames,
  ),
  begin: () => ({
    asks: (version) => [readActivity.textOn(version)],
    make: (rowsOf, { version }) => {
      const present = progressCommandsOn(version);
      // Six views are much to ask on every scrape when there is nothing in them.
      if (readActivity.read(rowsOf, version).commands === 0) return { tables: tablesOf(present, []) };
      return async (session) => {
        const { rows } = await session.query<Record<string, unknown>>(present.map(progressSql).join(" union all "));
        return { tables: tablesOf(present, rows) };
      };
    },
  }),
};

function tablesOf(
  present: readonly ProgressCommand[],
  rows: readonly Record<string, unknown>[],
): readonly MetricTable[] {
  return present.map(({ command }) => ({
    labelNames,
    metrics: metricsOf[command]!,
    rows: rows
      .filter((row) => row["command"] === command)
      .map((row) => ({ labels: labelNames.map((name) => toText(row[name])), values: [toNumber(row["ratio"])] })),
  }));
}

function progressSql({ command, view, done, total, phase }: ProgressCommand): string {
  const ofRelation = command === "basebackup" ? "'' as datname, 0::oid as relid" : "p.datname::text, p.relid";
  return `select '${command}' as command, p.pid, ${ofRelation}, ${phase}::text as phase,
      coalesce(p.${done}::float8 / nullif(p.${total}, 0), 0) as ratio from pg_catalog.${view} p`;
}
