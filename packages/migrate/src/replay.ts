import type { AlterTableCmd, Constraint, CreateStmt, IndexStmt } from "libpg-query";
import type { CatalogConstraint, CatalogIndex } from "./catalog.ts";
import { alterCommands, rangeVars } from "./effects.ts";
import type { Node } from "./parser.ts";
import { columnConstraints, columnOf, sqlTypeOf } from "./sql-type.ts";
import { viewColumns } from "./view-columns.ts";
import { relationOf, stringsOf, type WorkingCatalog, type WorkingTable } from "./working-catalog.ts";

/** Moves the catalog past one statement, as far as later predictions depend on it. */
export function replay(node: Node, catalog: WorkingCatalog): void {
  if ("CreateStmt" in node) createTable(node.CreateStmt, catalog);
  else if ("CreateTableAsStmt" in node) {
    addTable(node.CreateTableAsStmt.into?.rel ?? {}, "table", catalog);
  } else if ("ViewStmt" in node) {
    const names = viewColumns(node.ViewStmt) ?? [];
    const view = addTable(node.ViewStmt.view ?? {}, "view", catalog);
    const unknown = { type: { name: "", mods: [], array: false }, default: null, generated: null, identity: false };
    view.columns = names.map((name) => ({ ...unknown, name, notNull: false }));
  } else if ("AlterTableStmt" in node) {
    const table = catalog.table(node.AlterTableStmt.relation);
    if (table) for (const command of alterCommands(node.AlterTableStmt)) alterTable(table, command, catalog);
  } else if ("IndexStmt" in node) addIndex(node.IndexStmt, catalog);
  else if ("DropStmt" in node) drop(node.DropStmt, catalog);
  else if ("RenameStmt" in node) rename(node.RenameStmt, catalog);
  else if ("AlterObjectSchemaStmt" in node) {
    const { relation, newschema = "public" } = node.AlterObjectSchemaStmt;
    const table = catalog.table(relation);
    if (table) move(table, newschema, table.name, catalog);
  } else if ("CreateEnumStmt" in node) {
    addType(node.CreateEnumStmt.typeName, { kind: "enum", labels: stringsOf(node.CreateEnumStmt.vals) }, catalog);
  } else if ("AlterEnumStmt" in node) {
    const names = stringsOf(node.AlterEnumStmt.typeName);
    const type = catalog.type(names.at(-2), names.at(-1) ?? "");
    if (type && node.AlterEnumStmt.newVal && !node.AlterEnumStmt.oldVal)
      type.labels = [...type.labels, node.AlterEnumStmt.newVal];
  } else if ("CreateDomainStmt" in node) {
    const { domainname, typeName, constraints = [] } = node.CreateDomainStmt;
    const base = sqlTypeOf(typeName, catalog);
    const own = constraints.some((one) => "Constraint" in one && /CHECK|NOTNULL/.test(one.Constraint.contype ?? ""));
    const constrained = own || catalog.types.get(base.name)?.constrained === true;
    addType(domainname, { kind: "domain", base, constrained }, catalog);
  } else if ("AlterDomainStmt" in node && node.AlterDomainStmt.subtype === "C") {
    const names = stringsOf(node.AlterDomainStmt.typeName);
    const type = catalog.type(names.at(-2), names.at(-1) ?? "");
    if (type) type.constrained = true;
  } else if ("CreateFunctionStmt" in node) {
    const names = stringsOf(node.CreateFunctionStmt.funcname);
    const schema = names.at(-2) ?? catalog.searchPath[0] ?? "public";
    const name = names.at(-1) ?? "";
    const declared = (node.CreateFunctionStmt.options ?? []).flatMap((option) =>
      "DefElem" in option &&
      option.DefElem.defname === "volatility" &&
      option.DefElem.arg &&
      "String" in option.DefElem.arg
        ? [option.DefElem.arg.String.sval]
        : [],
    );
    catalog.functions.set(`${schema}.${name}`, {
      schema,
      name,
      arguments: "",
      volatile: (declared[0] ?? "volatile") === "volatile",
      hash: "",
      privileges: [],
    });
  } else if ("CreatePolicyStmt" in node) {
    catalog.table(node.CreatePolicyStmt.table)?.policies.push(node.CreatePolicyStmt.policy_name ?? "");
  } else if ("VariableSetStmt" in node) set(node.VariableSetStmt, catalog);
}

function set(statement: { name?: string; args?: Node[]; kind?: string }, catalog: WorkingCatalog): void {
  const values = (statement.args ?? []).flatMap((arg) =>
    "A_Const" in arg && arg.A_Const.sval ? [arg.A_Const.sval.sval ?? ""] : [],
  );
  if (statement.kind !== "VAR_SET_VALUE" || values.length === 0) return;
  const name = statement.name?.toLowerCase();
  if (name === "timezone") catalog.timeZone = values[0] ?? catalog.timeZone;
  if (name === "search_path") catalog.searchPath = values;
}

function createTable(statement: CreateStmt, catalog: WorkingCatalog): void {
  const known = catalog.table(statement.relation);
  if (known && statement.if_not_exists) return;
  const table = addTable(statement.relation ?? {}, statement.partspec ? "partitioned" : "table", catalog);
  const keys = (statement.partspec?.partParams ?? []).map((key) =>
    "PartitionElem" in key ? (key.PartitionElem.name ?? "expression") : "",
  );
  if (statement.partspec) table.properties.push(`partition by (${keys.join(", ")})`);
  for (const parent of rangeVars(statement.inhRelations)) table.properties.push(`inherits ${catalog.qualify(parent)}`);
  if (statement.partbound?.is_default) table.properties.push("DEFAULT");
  for (const element of statement.tableElts ?? []) {
    if ("ColumnDef" in element) {
      table.columns.push(columnOf(element.ColumnDef, catalog));
      for (const constraint of columnConstraints(element.ColumnDef)) {
        addConstraint(table, constraint, [element.ColumnDef.colname ?? ""], catalog);
      }
    } else if ("Constraint" in element) addConstraint(table, element.Constraint, null, catalog);
  }
}

function addTable(
  name: { schemaname?: string; relname?: string },
  kind: WorkingTable["kind"],
  catalog: WorkingCatalog,
): WorkingTable {
  const schema = name.schemaname ?? catalog.searchPath[0] ?? "public";
  const relname = name.relname ?? "";
  const made: WorkingTable = {
    schema,
    name: relname,
    kind,
    rows: 0,
    columns: [],
    constraints: [],
    indexes: [],
    policies: [],
    properties: [],
    fresh: !catalog.tables.has(`${schema}.${relname}`),
  };
  catalog.tables.set(`${schema}.${relname}`, made);
  return made;
}

function alterTable(table: WorkingTable, command: AlterTableCmd, catalog: WorkingCatalog): void {
  const { subtype, def, name = "" } = command;
  const column = table.columns.find((one) => one.name === name);
  if (subtype === "AT_AddColumn" && def && "ColumnDef" in def) {
    if (table.columns.some((one) => one.name === def.ColumnDef.colname)) return;
    table.columns.push(columnOf(def.ColumnDef, catalog));
    for (const constraint of columnConstraints(def.ColumnDef)) {
      addConstraint(table, constraint, [def.ColumnDef.colname ?? ""], catalog);
    }
  } else if (subtype === "AT_DropColumn") {
    table.columns = table.columns.filter((one) => one.name !== name);
    table.constraints = table.constraints.filter((one) => !one.columns.includes(name));
    table.indexes = table.indexes.filter((one) => !one.columns.includes(name));
  } else if (subtype === "AT_AlterColumnType" && column && def && "ColumnDef" in def) {
    column.type = sqlTypeOf(def.ColumnDef.typeName, catalog);
  } else if (subtype === "AT_SetNotNull" && column) column.notNull = true;
  else if (subtype === "AT_DropNotNull" && column) column.notNull = false;
  else if (subtype === "AT_ColumnDefault" && column) column.default = def ? "(set)" : null;
  else if (subtype === "AT_AddConstraint" && def && "Constraint" in def) {
    addConstraint(table, def.Constraint, null, catalog);
  } else if (subtype === "AT_ValidateConstraint") {
    const constraint = table.constraints.find((one) => one.name === name);
    if (constraint) constraint.validated = true;
  } else if (subtype === "AT_DropConstraint") {
    table.constraints = table.constraints.filter((one) => one.name !== name);
    table.indexes = table.indexes.filter((one) => !(one.constraint && one.name === name));
  }
}

const constraintTypes: Readonly<Record<string, CatalogConstraint["type"]>> = {
  CONSTR_CHECK: "check",
  CONSTR_FOREIGN: "foreign",
  CONSTR_UNIQUE: "unique",
  CONSTR_PRIMARY: "primary",
  CONSTR_EXCLUSION: "exclusion",
};

function addConstraint(
  table: WorkingTable,
  constraint: Constraint,
  inline: readonly string[] | null,
  catalog: WorkingCatalog,
): void {
  const type = constraintTypes[constraint.contype ?? ""];
  if (constraint.contype === "CONSTR_NOTNULL") {
    const names = inline ?? stringsOf(constraint.keys);
    const column = table.columns.find((one) => names.includes(one.name));
    if (column) column.notNull = true;
    return;
  }
  if (!type) return;
  const using = constraint.indexname ? table.indexes.find((one) => one.name === constraint.indexname) : undefined;
  const keys = type === "foreign" ? stringsOf(constraint.fk_attrs) : stringsOf(constraint.keys);
  const named = using ? using.columns.filter((one) => one !== null) : keys;
  const columns = inline ?? (type === "check" ? columnsIn(constraint.raw_expr) : named);
  const suffix = { check: "check", foreign: "fkey", unique: "key", primary: "pkey", exclusion: "excl" }[
    type as "check"
  ];
  const automatic = [table.name, ...(type === "primary" ? [] : columns), suffix].join("_");
  const name = constraint.conname ?? constraint.indexname ?? automatic;
  table.constraints.push({
    name,
    type,
    columns: [...columns],
    validated: constraint.skip_validation !== true,
    definition: type === "check" ? notNullDefinition(constraint.raw_expr) : "",
    references: constraint.pktable ? catalog.qualify(constraint.pktable) : null,
  });
  if (type === "primary") {
    for (const column of table.columns) if (columns.includes(column.name)) column.notNull = true;
  }
  if (using) {
    using.constraint = true;
    using.name = name;
  } else if (type === "unique" || type === "primary" || type === "exclusion") {
    table.indexes.push({ ...plainIndex(name, columns), unique: type !== "exclusion", constraint: true });
  }
}

function columnsIn(expression: Node | undefined): string[] {
  const names = new Set<string>();
  JSON.stringify(expression, (key, value: { fields?: Node[] }) => {
    if (key === "ColumnRef") names.add(stringsOf(value.fields).at(-1) ?? "");
    return value;
  });
  return [...names];
}

/** The NOT NULL parts of a check as the server would print them, which is all that is asked of it. */
function notNullDefinition(expression: Node | undefined): string {
  const parts = (node: Node | undefined): string[] => {
    if (node && "BoolExpr" in node && node.BoolExpr.boolop === "AND_EXPR")
      return (node.BoolExpr.args ?? []).flatMap(parts);
    if (node && "NullTest" in node && node.NullTest.nulltesttype === "IS_NOT_NULL") {
      const [name] = columnsIn(node);
      if (name && node.NullTest.arg && "ColumnRef" in node.NullTest.arg) {
        return [`(${/^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`} IS NOT NULL)`];
      }
    }
    return ["(…)"];
  };
  return `CHECK (${parts(expression).join(" AND ")})`;
}

function addIndex(statement: IndexStmt, catalog: WorkingCatalog): void {
  const table = catalog.table(statement.relation);
  if (!table) return;
  const columns = (statement.indexParams ?? []).map((node) =>
    "IndexElem" in node ? (node.IndexElem.name ?? null) : null,
  );
  const name = statement.idxname ?? [table.name, ...columns.map((column) => column ?? "expr"), "idx"].join("_");
  if (table.indexes.some((one) => one.name === name)) return;
  table.indexes.push({
    ...plainIndex(name, columns),
    unique: statement.unique === true,
    method: statement.accessMethod ?? "btree",
    partial: statement.whereClause !== undefined,
  });
}

function plainIndex(name: string, columns: readonly (string | null)[]): CatalogIndex {
  const rest = { unique: false, valid: true, constraint: false, method: "btree", partial: false, definition: "" };
  return { name, columns: [...columns], ...rest };
}

function drop(statement: { removeType?: string; objects?: Node[] }, catalog: WorkingCatalog): void {
  for (const object of statement.objects ?? []) {
    const name = relationOf(object);
    if (/^OBJECT_(TABLE|VIEW|MATVIEW|FOREIGN_TABLE)$/.test(statement.removeType ?? "")) {
      catalog.tables.delete(catalog.qualify(name));
    } else if (statement.removeType === "OBJECT_INDEX") {
      const owner = catalog.indexOwner(name);
      if (owner) owner.table.indexes = owner.table.indexes.filter((one) => one !== owner.index);
    } else if (/^OBJECT_(TYPE|DOMAIN)$/.test(statement.removeType ?? "") && "TypeName" in object) {
      const names = stringsOf(object.TypeName.names);
      const type = catalog.type(names.at(-2), names.at(-1) ?? "");
      if (type) catalog.types.delete(`${type.schema}.${type.name}`);
    } else if (statement.removeType === "OBJECT_SCHEMA" && "String" in object) {
      for (const [key, table] of catalog.tables) if (table.schema === object.String.sval) catalog.tables.delete(key);
    }
  }
}

function rename(
  statement: {
    renameType?: string;
    relation?: { schemaname?: string; relname?: string };
    subname?: string;
    newname?: string;
  },
  catalog: WorkingCatalog,
): void {
  const { renameType, relation = {}, subname, newname = "" } = statement;
  const table = catalog.table(relation);
  if (renameType === "OBJECT_INDEX") {
    const owner = catalog.indexOwner(relation);
    const index = owner?.table.indexes.find((one) => one === owner.index);
    if (index) index.name = newname;
  } else if (!table) return;
  else if (renameType === "OBJECT_COLUMN") {
    const renamed = <T extends string | null>(name: T): T => (name === subname ? (newname as T) : name);
    for (const column of table.columns) column.name = renamed(column.name);
    for (const one of table.constraints) one.columns = one.columns.map(renamed);
    for (const one of table.indexes) one.columns = one.columns.map(renamed);
  } else if (renameType === "OBJECT_TABCONSTRAINT") {
    const constraint = table.constraints.find((one) => one.name === subname);
    if (constraint) constraint.name = newname;
  } else if (/^OBJECT_(TABLE|VIEW|MATVIEW)$/.test(renameType ?? "")) move(table, table.schema, newname, catalog);
}

function move(table: WorkingTable, schema: string, name: string, catalog: WorkingCatalog): void {
  const before = `${table.schema}.${table.name}`;
  catalog.tables.delete(before);
  table.schema = schema;
  table.name = name;
  catalog.tables.set(`${schema}.${name}`, table);
  for (const other of catalog.tables.values()) {
    for (const one of other.constraints) if (one.references === before) one.references = `${schema}.${name}`;
  }
}

function addType(
  names: Node[] | undefined,
  shape: { kind: "enum" | "domain"; labels?: string[]; base?: ReturnType<typeof sqlTypeOf>; constrained?: boolean },
  catalog: WorkingCatalog,
): void {
  const parts = stringsOf(names);
  const schema = parts.at(-2) ?? catalog.searchPath[0] ?? "public";
  const name = parts.at(-1) ?? "";
  const { kind, labels = [], base = null, constrained = false } = shape;
  catalog.types.set(`${schema}.${name}`, { schema, name, kind, labels, base, constrained, details: [] });
}
