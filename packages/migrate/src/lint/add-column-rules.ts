import type { AlterTableStmt, ColumnDef, Constraint } from "libpg-query";
import { alterCommands } from "../effects.ts";
import { columnConstraints, isSerial, sqlTypeOf } from "../sql-type.ts";
import { volatileFunctionIn } from "../volatility.ts";
import { existingTable, type LintRule, type LintSubject, type RuleHit, sqlName } from "./rule.ts";

interface AddedColumn {
  readonly table: string;
  readonly rows: number | null | undefined;
  readonly column: ColumnDef;
  readonly name: string;
  readonly has: (type: Constraint["contype"]) => Constraint | undefined;
}

function* addedColumns(subject: LintSubject, statement: AlterTableStmt): Generator<AddedColumn> {
  const table = existingTable(subject, statement.relation);
  if (!table) return;
  for (const { subtype, def } of alterCommands(statement)) {
    if (subtype !== "AT_AddColumn" || !def || !("ColumnDef" in def)) continue;
    const column = def.ColumnDef;
    const constraints = columnConstraints(column);
    yield {
      table: table.qualified,
      rows: table.known?.rows,
      column,
      name: column.colname ?? "",
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

/** Rules on ALTER TABLE … ADD COLUMN. */
export const addColumnRules: readonly LintRule[] = [
  addColumnRule(
    {
      id: "add-column-volatile-default",
      severity: "critical",
      grows: true,
      hint: "Add the column without the default, set the default after, and fill old rows in batches.",
    },
    ({ table, name, has }, { catalog }) => {
      const called = volatileFunctionIn(has("CONSTR_DEFAULT")?.raw_expr, catalog);
      return called === null
        ? null
        : { title: `adding ${name} with default ${called}() rewrites ${table} under an exclusive lock` };
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
    ({ table, name, has }) =>
      has("CONSTR_CHECK")
        ? { title: `adding ${name} with an inline CHECK reads all of ${table} under an exclusive lock` }
        : null,
  ),
  addColumnRule(
    {
      id: "add-column-inline-fk",
      severity: "warn",
      grows: true,
      hint: "Add the column first, then the foreign key as NOT VALID, then VALIDATE CONSTRAINT.",
    },
    ({ table, name, has }, { catalog, effects }) => {
      const parent = has("CONSTR_FOREIGN")?.pktable;
      if (!parent || (catalog.table(parent)?.fresh && !effects.scans.includes(table))) return null;
      const reads = effects.scans.includes(table) ? " while every row is looked up" : "";
      return {
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
    ({ table, name, has }) =>
      has("CONSTR_UNIQUE") || has("CONSTR_PRIMARY")
        ? { title: `adding ${name} with an inline UNIQUE or PRIMARY KEY builds an index while ${table} is locked` }
        : null,
  ),
  addColumnRule(
    {
      id: "add-required-column",
      severity: "critical",
      grows: false,
      hint: "Give it a constant default, or add it nullable, fill it and set NOT NULL later.",
    },
    ({ table, rows, name, column, has }) => {
      const filled = has("CONSTR_DEFAULT") ?? has("CONSTR_IDENTITY") ?? has("CONSTR_GENERATED");
      if (!has("CONSTR_NOTNULL") || filled || isSerial(column.typeName) || rows === 0) return null;
      return {
        title: `adding ${name} as NOT NULL without a default fails when ${table} has rows`,
        safer: `alter table ${sqlName(...table.split("."))} add column ${sqlName(name)} … not null default …;`,
      };
    },
  ),
];
