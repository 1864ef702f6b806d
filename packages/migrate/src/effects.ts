import type { AlterTableCmd, AlterTableStmt } from "libpg-query";
import { alterTableEffects } from "./alter-table-effects.ts";
import { EffectCollector, type StatementEffects } from "./effect-collector.ts";
import type { Node } from "./parser.ts";
import { hasOption } from "./statement.ts";
import { lockModes } from "./table-lock.ts";
import { walk } from "./volatility.ts";
import { relationOf, type RelationName, stringsOf, type WorkingCatalog } from "./working-catalog.ts";

/** Predicts what one statement locks, rewrites, scans and builds. */
export function predictEffects(node: Node, catalog: WorkingCatalog): StatementEffects {
  const effects = new EffectCollector(catalog);
  if ("AlterTableStmt" in node) alterTable(node.AlterTableStmt, effects);
  else if ("IndexStmt" in node) {
    effects.lock(node.IndexStmt.relation, node.IndexStmt.concurrent ? "ShareUpdateExclusive" : "Share");
    effects.build(node.IndexStmt.relation);
  } else if ("DropStmt" in node) dropObjects(node.DropStmt, effects);
  else if ("CreateStmt" in node) createTable(node.CreateStmt, effects);
  else if ("RenameStmt" in node) {
    const { renameType, relationType, relation } = node.RenameStmt;
    const onTable =
      renameType === "OBJECT_TABLE" || renameType === "OBJECT_COLUMN" || renameType === "OBJECT_TABCONSTRAINT";
    const named = [renameType, relationType].some((type) => type === "OBJECT_VIEW" || type === "OBJECT_MATVIEW");
    if (onTable || named) effects.lock(relation, "AccessExclusive");
    if (renameType === "OBJECT_TRIGGER" || renameType === "OBJECT_POLICY" || renameType === "OBJECT_RULE") {
      effects.lock(relation, "AccessExclusive");
    }
  } else if ("AlterObjectSchemaStmt" in node) {
    if (/TABLE|VIEW|MATVIEW/.test(node.AlterObjectSchemaStmt.objectType ?? "")) {
      effects.lock(node.AlterObjectSchemaStmt.relation, "AccessExclusive");
    }
  } else if ("TruncateStmt" in node) {
    for (const table of rangeVars(node.TruncateStmt.relations)) {
      effects.lock(table, "AccessExclusive");
      effects.rewrite(table);
      if (node.TruncateStmt.behavior === "DROP_CASCADE") truncateDependents(table, effects);
    }
  } else if ("ClusterStmt" in node) {
    effects.lock(node.ClusterStmt.relation, "AccessExclusive");
    effects.rewrite(node.ClusterStmt.relation);
  } else if ("VacuumStmt" in node) {
    const full = hasOption(node.VacuumStmt.options ?? [], "full");
    for (const item of node.VacuumStmt.rels ?? []) {
      const table = "VacuumRelation" in item ? item.VacuumRelation.relation : undefined;
      effects.lock(table, full ? "AccessExclusive" : "ShareUpdateExclusive");
      if (full) effects.rewrite(table);
    }
  } else if ("ReindexStmt" in node) {
    const { kind, relation, params = [] } = node.ReindexStmt;
    const concurrent = hasOption(params, "concurrently");
    const owner = kind === "REINDEX_OBJECT_INDEX" && relation ? catalog.indexOwner(relation)?.table : undefined;
    const table = owner ? { schemaname: owner.schema, relname: owner.name } : relation;
    effects.lock(table, concurrent ? "ShareUpdateExclusive" : "Share");
    effects.build(table);
  } else if ("RefreshMatViewStmt" in node) {
    effects.lock(
      node.RefreshMatViewStmt.relation,
      node.RefreshMatViewStmt.concurrent ? "Exclusive" : "AccessExclusive",
    );
    if (!node.RefreshMatViewStmt.concurrent) effects.rewrite(node.RefreshMatViewStmt.relation);
  } else if ("CreateTrigStmt" in node) effects.lock(node.CreateTrigStmt.relation, "ShareRowExclusive");
  else if ("RuleStmt" in node) effects.lock(node.RuleStmt.relation, "AccessExclusive");
  else if ("CreatePolicyStmt" in node) effects.lock(node.CreatePolicyStmt.table, "AccessExclusive");
  else if ("AlterPolicyStmt" in node) effects.lock(node.AlterPolicyStmt.table, "AccessExclusive");
  else if ("CommentStmt" in node) {
    const { objtype, object } = node.CommentStmt;
    if (objtype === "OBJECT_TABLE") effects.lock(relationOf(object), "ShareUpdateExclusive");
    if (objtype === "OBJECT_COLUMN" && object && "List" in object) {
      const items = object.List.items ?? [];
      effects.lock(relationOf({ List: { items: items.slice(0, -1) } }), "ShareUpdateExclusive");
    }
  } else if ("AlterDomainStmt" in node) alterDomain(node.AlterDomainStmt, effects);
  else if ("CreateStatsStmt" in node) {
    for (const table of rangeVars(node.CreateStatsStmt.relations)) effects.lock(table, "ShareUpdateExclusive");
  } else if ("LockStmt" in node) {
    // LOCK TABLE carries the mode as its number in lockdefs.h, from 1.
    const mode = lockModes[(node.LockStmt.mode ?? 8) - 1] ?? "AccessExclusive";
    for (const table of rangeVars(node.LockStmt.relations)) effects.lock(table, mode);
  } else if ("DoStmt" in node || "CallStmt" in node || "ExecuteStmt" in node) effects.opaque();
  else if (["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"].some((name) => name in node)) {
    queryEffects(node, effects);
  } else if ("ViewStmt" in node) {
    effects.lock(catalog.table(node.ViewStmt.view) ? node.ViewStmt.view : undefined, "AccessExclusive");
    readsOf(node.ViewStmt.query, effects);
  } else if ("CreateTableAsStmt" in node) readsOf(node.CreateTableAsStmt.query, effects);
  return effects.result();
}

/** The commands of an ALTER TABLE. */
export function alterCommands(statement: AlterTableStmt): readonly AlterTableCmd[] {
  // Every rule asks for them.
  let commands = known.get(statement);
  if (!commands) {
    commands = (statement.cmds ?? []).flatMap((node) => ("AlterTableCmd" in node ? [node.AlterTableCmd] : []));
    known.set(statement, commands);
  }
  return commands;
}

const known = new WeakMap<AlterTableStmt, readonly AlterTableCmd[]>();

/** The plain relations of a list. */
export function rangeVars(nodes: readonly Node[] | undefined): RelationName[] {
  return (nodes ?? []).flatMap((node) => ("RangeVar" in node ? [node.RangeVar] : []));
}

function alterTable(statement: AlterTableStmt, effects: EffectCollector): void {
  // ALTER INDEX and ALTER SEQUENCE share the node; they lock no table.
  if (statement.objtype === "OBJECT_INDEX" || statement.objtype === "OBJECT_SEQUENCE") return;
  if (statement.objtype === "OBJECT_TYPE") return;
  for (const command of alterCommands(statement)) alterTableEffects(statement.relation ?? {}, command, effects);
}

function dropObjects(
  statement: { removeType?: string; objects?: Node[]; concurrent?: boolean; behavior?: string },
  effects: EffectCollector,
): void {
  for (const object of statement.objects ?? []) {
    const name = relationOf(object);
    if (statement.removeType === "OBJECT_INDEX") {
      const owner = effects.catalog.indexOwner(name)?.table;
      if (!owner) continue;
      const table = { schemaname: owner.schema, relname: owner.name };
      effects.lock(table, statement.concurrent ? "ShareUpdateExclusive" : "AccessExclusive");
    } else if (/^OBJECT_(TABLE|VIEW|MATVIEW|FOREIGN_TABLE)$/.test(statement.removeType ?? "")) {
      effects.lock(name, "AccessExclusive");
      for (const constraint of effects.catalog.table(name)?.constraints ?? []) {
        if (constraint.references) effects.lockQualified(constraint.references, "AccessExclusive");
      }
      if (statement.behavior === "DROP_CASCADE") lockReferencing(name, effects);
    } else if (/^OBJECT_(TRIGGER|RULE|POLICY)$/.test(statement.removeType ?? "") && "List" in object) {
      const items = object.List.items ?? [];
      effects.lock(relationOf({ List: { items: items.slice(0, -1) } }), "AccessExclusive");
    }
  }
}

/** The tables whose foreign keys go with the table they point at. */
function lockReferencing(name: RelationName, effects: EffectCollector): void {
  const dropped = effects.catalog.qualify(name);
  for (const table of effects.catalog.tables.values()) {
    if (!table.constraints.some((constraint) => constraint.references === dropped)) continue;
    effects.lock({ schemaname: table.schema, relname: table.name }, "AccessExclusive");
  }
}

function createTable(
  statement: { tableElts?: Node[]; inhRelations?: Node[]; partbound?: unknown },
  effects: EffectCollector,
): void {
  for (const parent of rangeVars(statement.inhRelations)) {
    effects.lock(parent, statement.partbound ? "AccessExclusive" : "ShareUpdateExclusive");
  }
  walk(statement.tableElts, (name, fields) => {
    const parent = name === "Constraint" ? (fields as { pktable?: RelationName }).pktable : undefined;
    if (parent) effects.lock(parent, "ShareRowExclusive");
  });
}

/** A new CHECK of a domain, or its validation, reads every table that uses it. */
function alterDomain(
  { subtype, typeName, def }: { subtype?: string; typeName?: Node[]; def?: Node },
  effects: EffectCollector,
): void {
  const adds = subtype === "C" && !(def && "Constraint" in def && def.Constraint.skip_validation);
  if (!adds && subtype !== "V" && subtype !== "O") return;
  const names = stringsOf(typeName);
  const domain = effects.catalog.type(names.at(-2), names.at(-1) ?? "");
  for (const table of effects.catalog.tables.values()) {
    if (!domain || !table.columns.some(({ type }) => type.name === `${domain.schema}.${domain.name}`)) continue;
    const name = { schemaname: table.schema, relname: table.name };
    effects.lock(name, "Share");
    effects.scan(name);
  }
}

function truncateDependents(table: RelationName, effects: EffectCollector): void {
  const reached = new Set([effects.catalog.qualify(table)]);
  for (const parent of reached) {
    for (const child of effects.catalog.tables.values()) {
      if (!child.constraints.some((constraint) => constraint.references === parent)) continue;
      const name = { schemaname: child.schema, relname: child.name };
      reached.add(effects.catalog.qualify(name));
      effects.lock(name, "AccessExclusive");
      effects.rewrite(name);
    }
  }
}

const writing = new Set(["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"]);

function queryEffects(node: Node, effects: EffectCollector): void {
  readsOf(node, effects);
  walk([node], (visited, fields) => {
    if (!writing.has(visited)) return;
    effects.lock((fields as { relation?: RelationName }).relation, "RowExclusive");
  });
  if ("SelectStmt" in node && node.SelectStmt.lockingClause) {
    for (const table of rangeVars(node.SelectStmt.fromClause)) effects.lock(table, "RowShare");
  }
}

function readsOf(query: unknown, effects: EffectCollector): void {
  const ctes = new Set<string>();
  walk(query, (name, fields) => {
    if (name === "CommonTableExpr") ctes.add((fields as { ctename?: string }).ctename ?? "");
  });
  walk(query, (name, fields) => {
    const table = fields as RelationName;
    if (name !== "RangeVar" || (table.schemaname === undefined && ctes.has(table.relname ?? ""))) return;
    if (effects.catalog.table(table)) effects.lock(table, "AccessShare");
  });
}
