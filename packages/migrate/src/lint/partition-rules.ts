import { commandRule } from "./constraint-rules.ts";
import { followedBy, inMigrations } from "./rewrite.ts";
import type { LintRule } from "./rule.ts";

/** Rules on attaching and detaching partitions. */
export const partitionRules: readonly LintRule[] = [
  commandRule(
    {
      id: "detach-not-concurrent",
      severity: "critical",
      grows: false,
      hint: "Use DETACH PARTITION … CONCURRENTLY, from PostgreSQL 14; not with a default partition.",
    },
    ({ table, alone, command: { subtype, def } }, { catalog, statement }) => {
      if (subtype !== "AT_DetachPartition" || !def || !("PartitionCmd" in def) || def.PartitionCmd.concurrent)
        return null;
      const safer =
        alone && catalog.serverVersion >= 140_000
          ? { safer: inMigrations(followedBy(statement.sql, "concurrently")) }
          : {};
      return { title: `detaching a partition stops reads and writes of all of ${table}`, ...safer };
    },
  ),
  {
    id: "attach-partition-scan",
    severity: "critical",
    grows: true,
    hint: "Add a CHECK of the bound as NOT VALID and validate it first: then nothing is read under the lock.",
    *check({ statement: { node }, effects }) {
      if (!("AlterTableStmt" in node)) return;
      const attaches = (node.AlterTableStmt.cmds ?? []).some(
        (one) => "AlterTableCmd" in one && one.AlterTableCmd.subtype === "AT_AttachPartition",
      );
      if (!attaches) return;
      for (const table of effects.scans)
        yield { table, title: `attaching the partition reads all of ${table} under an exclusive lock` };
    },
  },
];
