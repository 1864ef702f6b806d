import { rangeVars } from "../effects.ts";
import { commandRule } from "./constraint-rules.ts";
import { existingTable, type LintRule } from "./rule.ts";

const triggers = /^AT_(Enable|Disable)(Always|Replica)?Trig/;

/** Rules on locks that are asked for, brief, or held by several tables at once. */
export const lockRules: readonly LintRule[] = [
  {
    id: "lock-table",
    severity: "warn",
    grows: false,
    hint: "Leave it away: each statement takes the lock it needs.",
    *check(subject) {
      const { node } = subject.statement;
      if (!("LockStmt" in node)) return;
      for (const relation of rangeVars(node.LockStmt.relations)) {
        const table = existingTable(subject, relation);
        if (table)
          yield { table: table.qualified, title: `LOCK TABLE holds ${table.qualified} until the transaction ends` };
      }
    },
  },
  {
    id: "trigger-lock",
    severity: "info",
    grows: false,
    advice: true,
    hint: "The lock is brief, and waits: keep lock_timeout short.",
    *check(subject) {
      const { node } = subject.statement;
      const switches =
        "AlterTableStmt" in node &&
        (node.AlterTableStmt.cmds ?? []).some(
          (one) => "AlterTableCmd" in one && triggers.test(one.AlterTableCmd.subtype ?? ""),
        );
      const relation =
        "CreateTrigStmt" in node
          ? node.CreateTrigStmt.relation
          : "AlterTableStmt" in node && switches
            ? node.AlterTableStmt.relation
            : undefined;
      const table = relation && existingTable(subject, relation);
      if (table)
        yield { table: table.qualified, title: `the trigger change stops writes to ${table.qualified} for a moment` };
    },
  },
  commandRule(
    {
      id: "rls-without-policy",
      severity: "critical",
      grows: false,
      hint: "Create the policies first, in the same migration.",
    },
    ({ table, known, command }, { before, after, catalog }) => {
      if (command.subtype !== "AT_EnableRowSecurity" || (known?.policies.length ?? 0) > 0) return null;
      const follows = [...before.map(({ statement }) => statement), ...after].some(
        ({ node }) => "CreatePolicyStmt" in node && catalog.qualify(node.CreatePolicyStmt.table ?? {}) === table,
      );
      return follows
        ? null
        : { title: `row level security without a policy hides every row of ${table} from all but its owner` };
    },
  ),
  {
    id: "many-tables-locked",
    severity: "info",
    grows: false,
    advice: true,
    hint: "Change one table per migration, or lock them in the order the application does.",
    *check({ transactional, effects, before }) {
      if (!transactional) return;
      const exclusive = (locks: typeof effects.locks): string[] =>
        locks.filter(({ mode }) => mode === "AccessExclusive").map(({ relation }) => relation);
      const held = new Set(before.flatMap((one) => exclusive(one.effects.locks)));
      const now = exclusive(effects.locks).filter((relation) => !held.has(relation));
      if (held.size === 1 && now.length > 0) {
        yield {
          title: `${[...held, ...now].join(" and ")} are locked exclusively in one transaction, which may deadlock`,
        };
      }
    },
  },
  {
    id: "missing-lock-timeout",
    severity: "info",
    grows: false,
    advice: true,
    hint: "The runner sets one; this is for files that are also run by hand.",
    *check({ effects, before }) {
      const locks = (all: typeof effects.locks): boolean => all.some(({ mode }) => mode === "AccessExclusive");
      if (!locks(effects.locks) || before.some((one) => locks(one.effects.locks))) return;
      const isSet = before.some(
        ({ statement: { node } }) => "VariableSetStmt" in node && node.VariableSetStmt.name === "lock_timeout",
      );
      if (!isSet) yield { title: "no lock_timeout is set before the first exclusive lock" };
    },
  },
];
