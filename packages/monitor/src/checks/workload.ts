import { quoteIdentifier } from "@db/core";
import { samplesOf } from "../snapshot.ts";
import type { Check } from "./check.ts";

/** Tables over their autovacuum trigger; the alert rule waits an hour, a report wants to know now. */
export const vacuum: Check = ({ server }) =>
  (server.facts.vacuum ?? [])
    .filter((table) => !table.autovacuumEnabled || table.deadRows > 2 * table.triggerRows)
    .slice(0, 5)
    .map((table) => {
      const name = `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.table)}`;
      return {
        id: "PG-TABLE-VACUUM",
        severity: "info",
        title: `table ${table.schema}.${table.table} in ${table.database} is overdue for vacuum`,
        subject: `${table.schema}.${table.table}`,
        observed: table.deadRows,
        threshold: table.triggerRows,
        unit: "dead rows",
        hint: table.autovacuumEnabled
          ? "Autovacuum has not come round to it; look for long transactions and for too few workers."
          : "Autovacuum is turned off for this table.",
        command: table.autovacuumEnabled
          ? `vacuum (analyze) ${name};`
          : `alter table ${name} reset (autovacuum_enabled); vacuum (analyze) ${name};`,
      };
    });

const enoughBlocks = 100_000;

/** Share of blocks found in shared buffers since the counters were reset. Never more than a remark. */
export const cache: Check = ({ server, snapshot }) => {
  const hits = new Map(
    samplesOf(snapshot, "pg_stat_database_blks_hit")
      .filter(({ labels }) => labels["server"] === server.name)
      .map(({ labels, value }) => [labels["datname"] ?? "", value]),
  );
  return samplesOf(snapshot, "pg_stat_database_blks_read")
    .filter(({ labels }) => labels["server"] === server.name && labels["datname"] !== "")
    .flatMap(({ labels, value: read }) => {
      const datname = labels["datname"] ?? "";
      const hit = hits.get(datname) ?? 0;
      const ratio = hit / Math.max(1, hit + read);
      if (hit + read < enoughBlocks || ratio >= 0.95) return [];
      return [
        {
          id: "PG-CACHE-HIT",
          severity: "info" as const,
          title: `${(ratio * 100).toFixed(1)} % of the blocks of ${datname} on ${server.name} come from shared buffers`,
          subject: datname,
          observed: Number(ratio.toFixed(4)),
          threshold: 0.95,
          unit: "ratio",
          hint: "Look at the statements that read the most blocks before making shared_buffers larger.",
        },
      ];
    });
};
