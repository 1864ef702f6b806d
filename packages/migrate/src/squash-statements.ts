import type { Node } from "./parser.ts";
import type { MigrationStatement } from "./statement.ts";
import { walk } from "./volatility.ts";
import { relationOf, type RelationName } from "./working-catalog.ts";

/**
 * The statements that still matter at the end: what only ever concerned tables made and dropped again on the way is
 * left out. Careful rather than clever: a statement that names any other table stays, and so does all it depends on.
 * Whether the rest makes the same schema is for a proof to say. Pure.
 */
export function lastingStatements(statements: readonly MigrationStatement[]): readonly MigrationStatement[] {
  const named = statements.map(({ node }) => relationsIn(node));
  const spans = new Map<string, { from: number; to: number }>();
  statements.forEach(({ node }, at) => {
    if ("CreateStmt" in node) {
      const name = keyOf(node.CreateStmt.relation);
      // A name made twice is not followed.
      spans.set(name, { from: spans.has(name) ? -1 : at, to: -1 });
    } else if (
      "DropStmt" in node &&
      node.DropStmt.removeType === "OBJECT_TABLE" &&
      node.DropStmt.objects?.length === 1
    ) {
      const span = spans.get(keyOf(relationOf(node.DropStmt.objects[0])));
      if (span) span.to = span.to === -1 ? at : -2;
    }
  });
  const gone = new Set([...spans].filter(([, { from, to }]) => from >= 0 && to > from).map(([name]) => name));
  let settled = false;
  while (!settled) {
    settled = true;
    for (const names of named) {
      const dead = [...names].filter((name) => gone.has(name));
      if (dead.length === 0 || dead.length === names.size) continue;
      for (const name of dead) gone.delete(name);
      settled = false;
    }
  }
  // Sequences, types and code may be named in ways a tree does not show as a table: those statements stay.
  return statements.filter(({ node }, at) => {
    const names = named[at] ?? new Set();
    const isPlain = [
      "CreateStmt",
      "AlterTableStmt",
      "IndexStmt",
      "DropStmt",
      "InsertStmt",
      "UpdateStmt",
      "DeleteStmt",
      "CommentStmt",
    ].some((kind) => kind in node);
    return !(isPlain && names.size > 0 && [...names].every((name) => gone.has(name)));
  });
}

/** A statement's text for an empty database: nobody is there whom CONCURRENTLY would spare. */
export function plainText({ sql, node }: MigrationStatement): string {
  const isConcurrent =
    ("IndexStmt" in node && node.IndexStmt.concurrent) || ("DropStmt" in node && node.DropStmt.concurrent);
  const text = isConcurrent ? sql.replace(/\bconcurrently\b\s*/i, "") : sql;
  return /--[^\n]*$/.test(text) ? `${text.trim()}\n;` : `${text.trim()};`;
}

function relationsIn(node: Node): Set<string> {
  const names = new Set<string>();
  walk([node], (name, fields) => {
    if (name === "RangeVar") names.add(keyOf(fields as RelationName));
  });
  // Fields that hold a relation without its node's name.
  const plain = node as Record<
    string,
    { relation?: RelationName; objects?: Node[]; object?: Node; removeType?: string }
  >;
  for (const statement of Object.values(plain)) {
    if (statement.relation?.relname) names.add(keyOf(statement.relation));
    if (statement.removeType === "OBJECT_TABLE")
      for (const object of statement.objects ?? []) names.add(keyOf(relationOf(object)));
  }
  walk([node], (name, fields) => {
    const parent = name === "Constraint" ? (fields as { pktable?: RelationName }).pktable : undefined;
    if (parent) names.add(keyOf(parent));
  });
  return names;
}

function keyOf(name: RelationName | undefined): string {
  return `${name?.schemaname ?? "public"}.${name?.relname ?? ""}`;
}
