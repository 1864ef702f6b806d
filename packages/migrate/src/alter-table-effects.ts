import type { AlterTableCmd, ColumnDef, Constraint, PartitionCmd } from "libpg-query";
import type { EffectCollector } from "./effect-collector.ts";
import { boundIsProved } from "./bound-proof.ts";
import { coversNotNull } from "./not-null-proof.ts";
import { columnConstraints, isSerial, sqlTypeOf, typeChangeRewrites } from "./sql-type.ts";
import type { LockMode } from "./table-lock.ts";
import { volatileFunctionIn } from "./volatility.ts";
import type { RelationName } from "./working-catalog.ts";

// Every command that is not here takes AccessExclusive.
// @see AlterTableGetLockLevel in src/backend/commands/tablecmds.c, the same from 12 to 18 for these
const weakerLocks: Readonly<Record<string, LockMode>> = {
  AT_SetStatistics: "ShareUpdateExclusive",
  AT_SetOptions: "ShareUpdateExclusive",
  AT_ResetOptions: "ShareUpdateExclusive",
  AT_ClusterOn: "ShareUpdateExclusive",
  AT_DropCluster: "ShareUpdateExclusive",
  AT_ValidateConstraint: "ShareUpdateExclusive",
  AT_SetRelOptions: "ShareUpdateExclusive",
  AT_ResetRelOptions: "ShareUpdateExclusive",
  AT_AttachPartition: "ShareUpdateExclusive",
  AT_DetachPartitionFinalize: "ShareUpdateExclusive",
  AT_EnableTrig: "ShareRowExclusive",
  AT_EnableTrigAll: "ShareRowExclusive",
  AT_EnableTrigUser: "ShareRowExclusive",
  AT_EnableAlwaysTrig: "ShareRowExclusive",
  AT_EnableReplicaTrig: "ShareRowExclusive",
  AT_DisableTrig: "ShareRowExclusive",
  AT_DisableTrigAll: "ShareRowExclusive",
  AT_DisableTrigUser: "ShareRowExclusive",
};

/** What one command of an ALTER TABLE does. */
export function alterTableEffects(table: RelationName, command: AlterTableCmd, effects: EffectCollector): void {
  const { subtype = "AT_AddColumn", def } = command;
  effects.lock(table, lockOf(command));
  if (subtype === "AT_AddColumn" && def && "ColumnDef" in def) addColumn(table, def.ColumnDef, effects);
  else if (subtype === "AT_AddConstraint" && def && "Constraint" in def) addConstraint(table, def.Constraint, effects);
  else if (subtype === "AT_AlterColumnType" && def && "ColumnDef" in def) {
    alterType(table, command.name ?? "", def.ColumnDef, effects);
  } else if (subtype === "AT_SetNotNull") {
    if (!coversNotNull(effects.catalog.table(table), command.name ?? "")) effects.scan(table);
  } else if (subtype === "AT_ValidateConstraint") {
    const constraint = effects.catalog.table(table)?.constraints.find((one) => one.name === command.name);
    if (constraint?.validated) return;
    if (constraint?.references) effects.lockQualified(constraint.references, "RowShare");
    effects.scan(table);
  } else if (subtype === "AT_DropColumn") {
    for (const constraint of effects.catalog.table(table)?.constraints ?? []) {
      if (!constraint.references || !constraint.columns.includes(command.name ?? "")) continue;
      effects.lockQualified(constraint.references, "AccessExclusive");
    }
  } else if (subtype === "AT_DropConstraint") {
    const constraint = effects.catalog.table(table)?.constraints.find((one) => one.name === command.name);
    if (constraint?.references) effects.lockQualified(constraint.references, "AccessExclusive");
  } else if (["AT_SetLogged", "AT_SetUnLogged", "AT_SetAccessMethod", "AT_SetExpression"].includes(subtype)) {
    effects.rewrite(table);
  } else if (subtype === "AT_SetTableSpace") {
    // Already there: nothing is copied. Only the database's own default can be told from the SQL.
    if (command.name !== "pg_default") effects.rewrite(table);
  } else if ((subtype === "AT_AttachPartition" || subtype === "AT_DetachPartition") && def && "PartitionCmd" in def) {
    const child = def.PartitionCmd.name;
    effects.lock(
      child,
      subtype === "AT_DetachPartition" && def.PartitionCmd.concurrent ? "ShareUpdateExclusive" : "AccessExclusive",
    );
    if (subtype === "AT_AttachPartition") attachPartition(table, def.PartitionCmd, effects);
  }
}

/** A partition is read unless its CHECKs say that it fits; a default partition is, for rows that would now go elsewhere. */
function attachPartition(parent: RelationName, { name, bound }: PartitionCmd, effects: EffectCollector): void {
  const { catalog } = effects;
  if (!boundIsProved(catalog.table(parent), catalog.table(name), bound)) effects.scan(name);
  const qualified = catalog.qualify(parent);
  for (const table of catalog.tables.values()) {
    if (!table.properties.includes("DEFAULT") || !table.properties.some((one) => one === `inherits ${qualified}`))
      continue;
    const fallback = { schemaname: table.schema, relname: table.name };
    effects.lock(fallback, "AccessExclusive");
    effects.scan(fallback);
  }
}

function lockOf({ subtype = "AT_AddColumn", def }: AlterTableCmd): LockMode {
  if (subtype === "AT_AddConstraint" && def && "Constraint" in def && def.Constraint.contype === "CONSTR_FOREIGN") {
    return "ShareRowExclusive";
  }
  if (subtype === "AT_DetachPartition" && def && "PartitionCmd" in def && def.PartitionCmd.concurrent) {
    return "ShareUpdateExclusive";
  }
  return weakerLocks[subtype] ?? "AccessExclusive";
}

function addColumn(table: RelationName, column: ColumnDef, effects: EffectCollector): void {
  const { catalog } = effects;
  const constraints = columnConstraints(column);
  const has = (type: Constraint["contype"]): Constraint | undefined => constraints.find((one) => one.contype === type);
  const defaultOf = has("CONSTR_DEFAULT");
  const generated = has("CONSTR_GENERATED");
  const isVirtual = generated?.generated_kind === "v";
  const domain = catalog.types.get(sqlTypeOf(column.typeName, catalog).name);
  const rewrites =
    isSerial(column.typeName) ||
    has("CONSTR_IDENTITY") !== undefined ||
    (generated !== undefined && !isVirtual) ||
    (domain?.kind === "domain" && domain.constrained) ||
    volatileFunctionIn(defaultOf?.raw_expr, catalog) !== null;
  if (rewrites) effects.rewrite(table);
  if (has("CONSTR_CHECK") || (has("CONSTR_NOTNULL") && !defaultOf && (!generated || isVirtual))) effects.scan(table);
  if (has("CONSTR_UNIQUE") || has("CONSTR_PRIMARY")) effects.build(table);
  const parent = has("CONSTR_FOREIGN")?.pktable;
  if (parent) effects.lock(parent, "ShareRowExclusive");
  // Old rows get the default, so each is looked up in the parent; without one they get NULL, which refers to nothing.
  if (parent && (defaultOf || generated)) effects.scan(table);
}

function addConstraint(table: RelationName, constraint: Constraint, effects: EffectCollector): void {
  const { catalog } = effects;
  const keys = (constraint.keys ?? []).map((key) => ("String" in key ? (key.String.sval ?? "") : ""));
  switch (constraint.contype) {
    case "CONSTR_CHECK":
      if (!constraint.skip_validation && constraint.is_enforced !== false) effects.scan(table);
      break;
    case "CONSTR_NOTNULL":
      if (!constraint.skip_validation && !coversNotNull(catalog.table(table), keys[0] ?? "")) effects.scan(table);
      break;
    case "CONSTR_FOREIGN":
      effects.lock(constraint.pktable, "ShareRowExclusive");
      if (!constraint.skip_validation && constraint.is_enforced !== false) effects.scan(table);
      break;
    case "CONSTR_PRIMARY": {
      // The key of an index already built still has to be NOT NULL, which is read from the rows when it is not.
      const index = constraint.indexname ? catalog.indexOwner({ relname: constraint.indexname })?.index : undefined;
      const columns = index ? index.columns : keys;
      const known = catalog.table(table);
      if (known && columns.some((name) => name !== null && !coversNotNull(known, name))) effects.scan(table);
      if (constraint.indexname === undefined) effects.build(table);
      break;
    }
    case "CONSTR_UNIQUE":
    case "CONSTR_EXCLUSION":
      if (constraint.indexname === undefined) effects.build(table);
      break;
    default:
      break;
  }
}

function alterType(table: RelationName, name: string, def: ColumnDef, effects: EffectCollector): void {
  const known = effects.catalog.table(table);
  const column = known?.columns.find((one) => one.name === name);
  const to = sqlTypeOf(def.typeName, effects.catalog);
  const converts = def.raw_default !== undefined && !isPlainUsing(def, name);
  // Without the old type nothing can be promised.
  const rewrites = converts || !column || typeChangeRewrites(column.type, to, effects.catalog);
  if (rewrites) effects.rewrite(table);
  const isChecked = known?.constraints.some(
    (one) => one.type === "check" && one.validated && one.columns.includes(name),
  );
  if (isChecked) effects.scan(table);
  const indexed = known?.indexes.some((index) => index.columns.includes(name)) === true;
  if (indexed && (rewrites || column?.type.name !== to.name)) effects.build(table);
}

/** `USING column` and `USING column::type` say no more than the type itself. */
function isPlainUsing(def: ColumnDef, name: string): boolean {
  let expression = def.raw_default;
  if (expression && "TypeCast" in expression) expression = expression.TypeCast.arg;
  if (!expression || !("ColumnRef" in expression)) return false;
  const [field] = expression.ColumnRef.fields ?? [];
  return field !== undefined && "String" in field && field.String.sval === name;
}
