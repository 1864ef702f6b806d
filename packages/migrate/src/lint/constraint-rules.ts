import type { AlterTableCmd, Constraint } from "libpg-query";
import { alterCommands } from "../effects.ts";
import { coversNotNull } from "../not-null-proof.ts";
import { sqlTypeOf } from "../sql-type.ts";
import { stringsOf, type WorkingTable } from "../working-catalog.ts";
import { chosenName, followedBy, inMigrations, notNullSteps, overIndex } from "./rewrite.ts";
import { existingTable, type LintRule, type LintSubject, type RuleHit, sqlName } from "./rule.ts";

interface Command {
  readonly table: string;
  readonly known: WorkingTable | undefined;
  readonly command: AlterTableCmd;
  /** True when the statement holds nothing else, so that its text can be built upon. */
  readonly alone: boolean;
}

function commandsOf(subject: LintSubject): readonly Command[] {
  const { node } = subject.statement;
  if (!("AlterTableStmt" in node)) return [];
  const table = existingTable(subject, node.AlterTableStmt.relation);
  if (!table) return [];
  const commands = alterCommands(node.AlterTableStmt);
  return commands.map((command) => ({
    table: table.qualified,
    known: table.known,
    command,
    alone: commands.length === 1,
  }));
}

/** A rule asked once for each command of an ALTER TABLE on an existing table. */
export function commandRule(
  rule: Omit<LintRule, "check">,
  check: (command: Command, subject: LintSubject) => Omit<RuleHit, "table"> | null,
): LintRule {
  return {
    ...rule,
    check(subject) {
      return commandsOf(subject).flatMap((command) => {
        const hit = check(command, subject);
        return hit ? [{ ...hit, table: command.table }] : [];
      });
    },
  };
}

function constraintRule(
  rule: Omit<LintRule, "check">,
  check: (constraint: Constraint, command: Command, subject: LintSubject) => Omit<RuleHit, "table"> | null,
): LintRule {
  return commandRule(rule, (command, subject) => {
    const { subtype, def } = command.command;
    if (subtype !== "AT_AddConstraint" || !def || !("Constraint" in def)) return null;
    return check(def.Constraint, command, subject);
  });
}

function notValidThenValidate(
  constraint: Constraint,
  { table, known, alone }: Command,
  subject: LintSubject,
): Pick<RuleHit, "safer"> {
  if (!alone) return {};
  const isForeign = constraint.contype === "CONSTR_FOREIGN";
  // A partitioned table takes such a foreign key from PostgreSQL 18 on.
  if (isForeign && known?.kind === "partitioned" && subject.catalog.serverVersion < 180_000) return {};
  const chosen = isForeign ? chosenName(table, stringsOf(constraint.fk_attrs), "fkey") : null;
  const name = constraint.conname ?? chosen;
  if (name === null) return {};
  const { sql } = subject.statement;
  const named = constraint.conname ? sql : sql.replace(/\badd\s+(?=foreign\b)/i, `add constraint ${sqlName(name)} `);
  const validate = `alter table ${sqlName(...table.split("."))} validate constraint ${sqlName(name)}`;
  return { safer: inMigrations(followedBy(named, "not valid"), validate) };
}

/** Rules on constraints, NOT NULL and column types. */
export const constraintRules: readonly LintRule[] = [
  commandRule(
    {
      id: "set-not-null",
      severity: "critical",
      grows: true,
      hint: "Add CHECK (column IS NOT NULL) NOT VALID, validate it, set NOT NULL, drop the check.",
    },
    ({ table, known, command }) => {
      if (command.subtype !== "AT_SetNotNull" || coversNotNull(known, command.name ?? "")) return null;
      return {
        title: `setting ${command.name} NOT NULL reads all of ${table} under an exclusive lock`,
        safer: inMigrations(...notNullSteps(table, command.name ?? "")),
      };
    },
  ),
  commandRule(
    {
      id: "change-type-rewrite",
      severity: "critical",
      grows: true,
      hint: "Add a column of the new type, fill it in batches, then switch over.",
    },
    ({ table, known, command }, { effects, catalog }) => {
      const { subtype, def, name } = command;
      if (subtype !== "AT_AlterColumnType" || !def || !("ColumnDef" in def)) return null;
      const target = sqlTypeOf(def.ColumnDef.typeName, catalog).name;
      if (!effects.rewrites.includes(table)) {
        // The rows stay, but an index on a domain is another index than one on its base type.
        const rebuilds = effects.indexBuilds.includes(table) && catalog.types.get(target)?.kind === "domain";
        return rebuilds
          ? { title: `changing ${name} to ${target} builds its indexes anew while ${table} is locked` }
          : null;
      }
      const from = known?.columns.find((column) => column.name === name)?.type.name ?? "its type";
      return { title: `changing ${name} from ${from} to ${target} rewrites ${table} under an exclusive lock` };
    },
  ),
  commandRule(
    {
      id: "change-type-with-check",
      severity: "critical",
      grows: true,
      hint: "Drop the CHECK, change the type, add it again as NOT VALID and validate it later.",
    },
    ({ table, command }, { effects }) => {
      if (command.subtype !== "AT_AlterColumnType") return null;
      if (effects.rewrites.includes(table) || !effects.scans.includes(table)) return null;
      return {
        title: `changing the type of ${command.name}, which has a CHECK, reads all of ${table} under an exclusive lock`,
      };
    },
  ),
  commandRule(
    {
      id: "change-type-and-not-null",
      severity: "critical",
      grows: true,
      hint: "Change the type and set NOT NULL in two statements: together neither is free.",
    },
    ({ table, command }, { statement: { node }, effects }) => {
      if (command.subtype !== "AT_SetNotNull" || !("AlterTableStmt" in node) || !effects.scans.includes(table))
        return null;
      const changes = alterCommands(node.AlterTableStmt).some(
        (other) => other.subtype === "AT_AlterColumnType" && other.name === command.name,
      );
      return changes
        ? { title: `changing the type of ${command.name} and setting it NOT NULL at once reads all of ${table}` }
        : null;
    },
  ),
  commandRule(
    {
      id: "drop-constraint",
      severity: "warn",
      grows: false,
      hint: "Stop relying on it in one release and drop it in the next: what breaks it afterwards stays.",
    },
    ({ table, known, command }, { after, catalog }) => {
      if (command.subtype !== "AT_DropConstraint") return null;
      const dropped = known?.constraints.find(({ name }) => name === command.name);
      if (!dropped || !/^(primary|unique|exclusion|foreign)$/.test(dropped.type)) return null;
      // Replaced in the same migration: the promise stays.
      const isReplaced = after.some(
        ({ node }) =>
          "AlterTableStmt" in node &&
          catalog.qualify(node.AlterTableStmt.relation ?? {}) === table &&
          alterCommands(node.AlterTableStmt).some(({ subtype }) => subtype === "AT_AddConstraint"),
      );
      return isReplaced
        ? null
        : { title: `dropping ${dropped.type} constraint ${command.name} of ${table} gives up what it promises` };
    },
  ),
  commandRule(
    {
      id: "drop-not-null",
      severity: "info",
      grows: false,
      advice: true,
      hint: "Make sure that every reader of the column takes NULL before a writer writes one.",
    },
    ({ table, command }) =>
      command.subtype === "AT_DropNotNull" ? { title: `${command.name} of ${table} may be NULL from now on` } : null,
  ),
  constraintRule(
    {
      id: "add-check-valid",
      severity: "critical",
      grows: true,
      hint: "Add it as NOT VALID, then VALIDATE CONSTRAINT in a later migration, which lets reads and writes go on.",
    },
    (constraint, command, subject) => {
      if (constraint.skip_validation || constraint.is_enforced === false) return null;
      if (constraint.contype === "CONSTR_NOTNULL") {
        if (coversNotNull(command.known, stringsOf(constraint.keys)[0] ?? "")) return null;
      } else if (constraint.contype !== "CONSTR_CHECK") return null;
      return {
        title: `adding a validated CHECK or NOT NULL reads all of ${command.table} under an exclusive lock`,
        ...notValidThenValidate(constraint, command, subject),
      };
    },
  ),
  constraintRule(
    {
      id: "add-fk-valid",
      severity: "critical",
      grows: true,
      hint: "Add it as NOT VALID, then VALIDATE CONSTRAINT in a later migration.",
    },
    (constraint, command, subject) => {
      if (constraint.contype !== "CONSTR_FOREIGN" || constraint.skip_validation) return null;
      if (constraint.is_enforced === false) return null;
      const parent = subject.catalog.qualify(constraint.pktable ?? {});
      return {
        title: `adding a validated foreign key stops writes to ${command.table} and ${parent} while every row is checked`,
        ...notValidThenValidate(constraint, command, subject),
      };
    },
  ),
  constraintRule(
    {
      id: "add-unique-constraint",
      severity: "critical",
      grows: true,
      hint: "Build the index with CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … UNIQUE USING INDEX.",
    },
    (constraint, { table, known }) => {
      if (constraint.contype !== "CONSTR_UNIQUE" || constraint.indexname) return null;
      const steps =
        known?.kind === "partitioned" ? null : overIndex(table, constraint, "unique", stringsOf(constraint.keys));
      return {
        title: `adding a UNIQUE constraint builds its index while ${table} is locked`,
        ...(steps ? { safer: inMigrations(...steps) } : {}),
      };
    },
  ),
  constraintRule(
    {
      id: "add-primary-key",
      severity: "critical",
      grows: true,
      hint: "Make the columns NOT NULL and build a unique index concurrently first, then ADD PRIMARY KEY USING INDEX.",
    },
    (constraint, { table, known, alone }, { effects }) => {
      if (constraint.contype !== "CONSTR_PRIMARY") return null;
      if (constraint.indexname === undefined) {
        const keys = stringsOf(constraint.keys);
        const steps = overIndex(table, constraint, "primary key", keys);
        const nullable = keys.filter((key) => !known?.columns.some(({ name, notNull }) => name === key && notNull));
        const proofs = nullable.map((key) => notNullSteps(table, key));
        const checks = proofs.length > 0 ? [proofs.map(([check]) => check).join(";\n")] : [];
        // Each read in a transaction of its own: setting one NOT NULL locks the table exclusively.
        const before = [...checks, ...proofs.map(([, set]) => set)];
        return {
          title: `adding a primary key builds its index while ${table} is locked`,
          ...(steps && alone && known?.kind !== "partitioned" ? { safer: inMigrations(...before, ...steps) } : {}),
        };
      }
      return effects.scans.includes(table)
        ? { title: `adding the primary key reads all of ${table}: its columns are not yet NOT NULL` }
        : null;
    },
  ),
  constraintRule(
    {
      id: "add-exclusion",
      severity: "critical",
      grows: true,
      hint: "There is no online way: use a quiet hour, or a new table filled in batches.",
    },
    (constraint, { table }) =>
      constraint.contype === "CONSTR_EXCLUSION"
        ? { title: `adding an exclusion constraint builds its index while ${table} is locked` }
        : null,
  ),
  {
    id: "validate-in-same-tx",
    severity: "critical",
    grows: true,
    hint: "Validate in a later migration, so that the lock of the first step is gone by then.",
    *check({ statement, effects, transactional, before, catalog }) {
      const { node } = statement;
      if (!transactional || !("AlterTableStmt" in node) || effects.scans.length === 0) return;
      const commands = alterCommands(node.AlterTableStmt);
      if (!commands.some((command) => command.subtype === "AT_ValidateConstraint")) return;
      const table = catalog.qualify(node.AlterTableStmt.relation ?? {});
      const held = before
        .flatMap((earlier) => earlier.effects.locks)
        .find((lock) => lock.relation === table && /^(AccessExclusive|ShareRowExclusive)$/.test(lock.mode));
      if (held)
        yield {
          table,
          title: `validating under the ${held.mode} lock already held on ${table} stops writes for the whole scan`,
        };
    },
  },
];
