import type { AlterTableStmt, ColumnDef, Constraint } from "libpg-query";
import { alterCommands } from "../effects.ts";
import { columnConstraints, isSerial, sqlTypeOf } from "../sql-type.ts";
import { volatileFunctionIn } from "../volatility.ts";
import { chosenName, cutBefore, ended, inMigrations, later, notNullSteps, overIndex } from "./rewrite.ts";
import { existingTable, type LintRule, type LintSubject, type RuleHit, sqlName } from "./rule.ts";

interface AddedColumn {
  readonly table: string;
  readonly rows: number | null | undefined;
  readonly column: ColumnDef;
  readonly name: string;
  /** True when the statement adds nothing else, and the column has one constraint: its text can be cut in two. */
  readonly sole: boolean;
  readonly has: (type: Constraint["contype"]) => Constraint | undefined;
}

function* addedColumns(subject: LintSubject, statement: AlterTableStmt): Generator<AddedColumn> {
  const table = existingTable(subject, statement.relation);
  if (!table) return;
  const commands = alterCommands(statement);
  for (const { subtype, def } of commands) {
    if (subtype !== "AT_AddColumn" || !def || !("ColumnDef" in def)) continue;
    const column = def.ColumnDef;
    const constraints = columnConstraints(column);
    yield {
      table: table.qualified,
      rows: table.known?.rows,
      column,
      name: column.colname ?? "",
      sole: commands.length === 1 && constraints.length === 1,
      has: (type) => constraints.find((one) => one.contype === type),
    };
  }
}

function addColumnRule(
  rule: Omit<LintRule, "check">,
  check: (added: AddedColumn, subject: LintSubject) => Omit<RuleHit, "table"> | null,
): LintRule {
  return {
    ...rule,
    check(subject) {
      const { node } = subject.statement;
      if (!("AlterTableStmt" in node)) return [];
      return [...addedColumns(subject, node.AlterTableStmt)].flatMap((added) => {
        const hit = check(added, subject);
        return hit ? [{ ...hit, table: added.table }] : [];
      });
    },
  };
}

const notNullWords = /\s+not\s+null\b/i;

/** The column first, then its constraint NOT VALID, then the proof. */
function apart(
  [column, constraint]: readonly [string, string],
  table: string,
  name: string | null,
  key: string,
): Pick<RuleHit, "safer"> {
  if (name === null) return {};
  const target = `alter table ${sqlName(...table.split("."))}`;
  const rest = constraint.replace(/^constraint\s+\S+\s+/i, "");
  return {
    safer: inMigrations(
      `${column};\n${target} add constraint ${sqlName(name)} ${key}${rest} not valid`,
      `${target} validate constraint ${sqlName(name)}`,
    ),
  };
}

/** Rules on ALTER TABLE … ADD COLUMN. */
export const addColumnRules: readonly LintRule[] = [
  addColumnRule(
    {
      id: "add-column-volatile-default",
      severity: "critical",
      grows: true,
      hint: "Add the column without the default, set the default after, and fill old rows in batches.",
    },
    ({ table, name, sole, has }, { catalog, statement }) => {
      const called = volatileFunctionIn(has("CONSTR_DEFAULT")?.raw_expr, catalog);
      if (called === null) return null;
      const cut = sole ? cutBefore(statement.sql, /\sdefault\b/i) : null;
      const set = `alter table ${sqlName(...table.split("."))} alter column ${sqlName(name)} set`;
      return {
        title: `adding ${name} with default ${called}() rewrites ${table} under an exclusive lock`,
        ...(cut ? { safer: `${cut[0]};\n${set} ${cut[1]};\n-- then fill old rows in batches` } : {}),
      };
    },
  ),
  addColumnRule(
    {
      id: "add-column-serial-identity",
      severity: "critical",
      grows: true,
      hint: "Add a bigint column, give it a sequence default, fill old rows in batches.",
    },
    ({ table, name, column, has }) =>
      isSerial(column.typeName) || has("CONSTR_IDENTITY")
        ? { title: `adding ${name} as serial or identity numbers every row and rewrites ${table}` }
        : null,
  ),
  addColumnRule(
    {
      id: "add-column-generated-stored",
      severity: "critical",
      grows: true,
      hint: "Use VIRTUAL on PostgreSQL 18, or a plain column kept by a trigger and filled in batches.",
    },
    ({ table, name, has }) => {
      const generated = has("CONSTR_GENERATED");
      return generated && generated.generated_kind !== "v"
        ? { title: `adding stored generated column ${name} rewrites ${table} under an exclusive lock` }
        : null;
    },
  ),
  addColumnRule(
    {
      id: "add-column-constrained-domain",
      severity: "critical",
      grows: true,
      hint: "Add the column with the domain's base type and a CHECK … NOT VALID, then validate.",
    },
    ({ table, name, column }, { catalog }) => {
      const domain = catalog.types.get(sqlTypeOf(column.typeName, catalog).name);
      return domain?.kind === "domain" && domain.constrained
        ? { title: `adding ${name} of constrained domain ${domain.name} rewrites ${table}` }
        : null;
    },
  ),
  addColumnRule(
    {
      id: "add-column-inline-check",
      severity: "critical",
      grows: true,
      hint: "Add the column first, then the CHECK as NOT VALID, then VALIDATE CONSTRAINT in a later migration.",
    },
    ({ table, name, sole, has }, { statement }) => {
      const check = has("CONSTR_CHECK");
      if (!check) return null;
      const cut = sole ? cutBefore(statement.sql, /\s(?:constraint\s+\S+\s+)?check\s*\(/i) : null;
      return {
        title: `adding ${name} with an inline CHECK reads all of ${table} under an exclusive lock`,
        ...(cut ? apart(cut, table, check.conname ?? chosenName(table, [name], "check"), "") : {}),
      };
    },
  ),
  addColumnRule(
    {
      id: "add-column-inline-fk",
      severity: "warn",
      grows: true,
      hint: "Add the column first, then the foreign key as NOT VALID, then VALIDATE CONSTRAINT.",
    },
    ({ table, name, sole, has }, { catalog, effects, statement }) => {
      const foreign = has("CONSTR_FOREIGN");
      const parent = foreign?.pktable;
      if (!parent || (catalog.table(parent)?.fresh && !effects.scans.includes(table))) return null;
      const reads = effects.scans.includes(table) ? " while every row is looked up" : "";
      const cut = sole ? cutBefore(statement.sql, /\s(?:constraint\s+\S+\s+)?references\s/i) : null;
      const key = `foreign key (${sqlName(name)}) `;
      const safer = cut ? apart(cut, table, foreign?.conname ?? chosenName(table, [name], "fkey"), key) : {};
      return {
        ...safer,
        title: `adding ${name} with an inline foreign key locks ${table} and stops writes to ${catalog.qualify(parent)}${reads}`,
      };
    },
  ),
  addColumnRule(
    {
      id: "add-column-inline-unique",
      severity: "critical",
      grows: true,
      hint: "Add the column, build the index with CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … USING INDEX.",
    },
    ({ table, name, sole, has }, { statement, catalog }) => {
      const unique = has("CONSTR_UNIQUE");
      if (!unique && !has("CONSTR_PRIMARY")) return null;
      const isPartitioned = catalog.tables.get(table)?.kind === "partitioned";
      const cut = sole && !isPartitioned ? cutBefore(statement.sql, /\s(?:constraint\s+\S+\s+)?unique\b/i) : null;
      const steps = unique && cut ? overIndex(table, unique, "unique", [name]) : null;
      return {
        title: `adding ${name} with an inline UNIQUE or PRIMARY KEY builds an index while ${table} is locked`,
        ...(cut && steps ? { safer: inMigrations(cut[0], ...steps) } : {}),
      };
    },
  ),
  addColumnRule(
    {
      id: "add-required-column",
      severity: "critical",
      grows: false,
      hint: "Give it a constant default, or add it nullable, fill it and set NOT NULL later.",
    },
    ({ table, rows, name, column, sole, has }, subject) => {
      const notNull = notNullWords.test(subject.statement.sql);
      const filled = has("CONSTR_DEFAULT") ?? has("CONSTR_IDENTITY") ?? has("CONSTR_GENERATED");
      if (!has("CONSTR_NOTNULL") || filled || isSerial(column.typeName) || rows === 0) return null;
      return {
        title: `adding ${name} as NOT NULL without a default fails when ${table} has rows`,
        ...(sole && notNull
          ? {
              safer: `${ended(subject.statement.sql.replace(notNullWords, ""))}\n-- then fill every row, in batches${later}${inMigrations(...notNullSteps(table, name))}`,
            }
          : {}),
      };
    },
  ),
];
