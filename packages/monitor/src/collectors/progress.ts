import { type Collector, defineMetrics, toNumber, toText } from "../collector.ts";
import type { MetricTable } from "../snapshot.ts";
import { readActivity } from "./activity.ts";

/** A command that tells how far it is. */
interface Command {
  readonly command: string;
  readonly view: string;
  /** Columns that say how much is done, and of how much. */
  readonly done: string;
  readonly total: string;
  readonly phase: string;
  readonly help: string;
  readonly since?: number;
}

const commands: readonly Command[] = [
  {
    command: "vacuum",
    view: "pg_stat_progress_vacuum",
    done: "heap_blks_scanned",
    total: "heap_blks_total",
    phase: "phase",
    help: "Part of the table VACUUM has scanned",
  },
  {
    command: "create_index",
    view: "pg_stat_progress_create_index",
    done: "blocks_done",
    total: "blocks_total",
    phase: "phase",
    help: "Part of the present phase of an index build",
  },
  {
    command: "cluster",
    view: "pg_stat_progress_cluster",
    done: "heap_blks_scanned",
    total: "heap_blks_total",
    phase: "phase",
    help: "Part of the table CLUSTER or VACUUM FULL has read",
  },
  {
    command: "analyze",
    view: "pg_stat_progress_analyze",
    done: "sample_blks_scanned",
    total: "sample_blks_total",
    phase: "phase",
    help: "Part of the sample ANALYZE has read",
    since: 13,
  },
  {
    command: "copy",
    view: "pg_stat_progress_copy",
    done: "bytes_processed",
    total: "bytes_total",
    phase: "''",
    help: "Part of the file COPY has processed; 0 while its size is unknown",
    since: 14,
  },
  {
    command: "basebackup",
    view: "pg_stat_progress_basebackup",
    done: "backup_streamed",
    total: "backup_total",
    phase: "phase",
    help: "Part of a base backup that was sent; 0 while its size is unknown",
    since: 13,
  },
];

const labelNames = ["pid", "datname", "relid", "phase"] as const;
const metricName = (command: string): string => `pg_stat_progress_${command}_ratio`;

const metricsOf: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  commands.map(({ command }) => [command, [metricName(command)]]),
);

/** How far long commands are; one series for each that runs. */
export const progressCollector: Collector = {
  name: "progress",
  tier: "T0",
  per: "server",
  scope: "any",
  since: 12,
  unhurried: true,
  metrics: defineMetrics(
    commands.map(({ command, help, since }) => ({
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
      const present = commands.filter(({ since }) => (since ?? 12) <= version);
      if (readActivity.read(rowsOf, version).every((group) => group.commands === 0))
        return { tables: tablesOf(present, []) };
      return async (session) => {
        const { rows } = await session.query<Record<string, unknown>>(present.map(progressSql).join(" union all "));
        return { tables: tablesOf(present, rows) };
      };
    },
  }),
};

function tablesOf(present: readonly Command[], rows: readonly Record<string, unknown>[]): readonly MetricTable[] {
  return present.map(({ command }) => ({
    labelNames,
    metrics: metricsOf[command]!,
    rows: rows
      .filter((row) => row["command"] === command)
      .map((row) => ({ labels: labelNames.map((name) => toText(row[name])), values: [toNumber(row["ratio"])] })),
  }));
}

function progressSql({ command, view, done, total, phase }: Command): string {
  const ofRelation = command === "basebackup" ? "'' as datname, 0::oid as relid" : "p.datname::text, p.relid";
  return `select '${command}' as command, p.pid, ${ofRelation}, ${phase}::text as phase,
      coalesce(p.${done}::float8 / nullif(p.${total}, 0), 0) as ratio from pg_catalog.${view} p`;
}
