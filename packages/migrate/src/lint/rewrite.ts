import type { Constraint, IndexStmt } from "libpg-query";
import { stringsOf, type WorkingCatalog } from "../working-catalog.ts";
import { sqlName } from "./rule.ts";

/** Stands between steps that need a transaction of their own each. */
export const later = "\n-- in a later migration:\n";

/** A rewrite of several migrations, each of one or more statements. */
export function inMigrations(...steps: readonly string[]): string {
  return steps.map(ended).join(later);
}

/** The statement with words after it, which a comment at its end must not swallow. */
export function followedBy(sql: string, words: string): string {
  return `${sql}${endsInComment(sql) ? "\n" : " "}${words}`;
}

/** The statement with its semicolon. */
export function ended(sql: string): string {
  return `${sql}${endsInComment(sql) ? "\n" : ""};`;
}

function endsInComment(sql: string): boolean {
  return sql.slice(sql.lastIndexOf("\n") + 1).includes("--");
}

/** The name the server would choose; null where it would have to shorten it. */
export function chosenName(table: string, columns: readonly string[], suffix: string): string | null {
  const name = [table.split(".").at(-1), ...columns, suffix].join("_");
  return Buffer.byteLength(name) > 63 ? null : name;
}

/** CREATE INDEX as a concurrent one with a name, for the journal must recognise it; null where none can be said. */
export function concurrentIndex(sql: string, statement: IndexStmt, catalog: WorkingCatalog): string | null {
  const words = statement.concurrent ? sql : sql.replace(/\bindex\b/i, "index concurrently");
  if (statement.idxname) return words;
  const columns = [...(statement.indexParams ?? []), ...(statement.indexIncludingParams ?? [])].map((one) => {
    const element = "IndexElem" in one ? one.IndexElem : {};
    const called = element.expr && "FuncCall" in element.expr ? stringsOf(element.expr.FuncCall.funcname).at(-1) : null;
    return element.name ?? called ?? "expr";
  });
  const name = chosenName(catalog.qualify(statement.relation ?? {}), columns, "idx");
  if (name === null) return null;
  const isTaken = (candidate: string): boolean =>
    catalog.indexOwner({ relname: candidate }) !== undefined || catalog.table({ relname: candidate }) !== undefined;
  let free = name;
  for (let count = 1; isTaken(free); count++) free = `${name}${count}`;
  return words.replace(/\bconcurrently\b/i, `concurrently ${sqlName(free)}`);
}

/** A constraint that an index stands behind, over an index built beside running writes; null where it cannot be. */
export function overIndex(
  table: string,
  constraint: Constraint,
  kind: "unique" | "primary key",
  keys: readonly string[],
): readonly [build: string, add: string] | null {
  const { conname, options, indexspace, without_overlaps: overlaps } = constraint;
  const name = conname ?? chosenName(table, kind === "unique" ? keys : [], kind === "unique" ? "key" : "pkey");
  if (name === null || overlaps || indexspace !== undefined || (options ?? []).length > 0) return null;
  const list = (names: readonly string[]): string => `(${names.map((one) => sqlName(one)).join(", ")})`;
  const included = stringsOf(constraint.including);
  const target = sqlName(...table.split("."));
  const build = [
    `create unique index concurrently ${sqlName(name)} on ${target} ${list(keys)}`,
    ...(included.length > 0 ? [`include ${list(included)}`] : []),
    ...(constraint.nulls_not_distinct ? ["nulls not distinct"] : []),
  ];
  const add = [
    `alter table ${target} add constraint ${sqlName(name)} ${kind} using index ${sqlName(name)}`,
    ...(constraint.deferrable ? ["deferrable"] : []),
    ...(constraint.initdeferred ? ["initially deferred"] : []),
  ];
  return [build.join(" "), add.join(" ")];
}

/** NOT NULL without a scan under an exclusive lock: a check first, read beside running writes. */
export function notNullSteps(table: string, column: string): readonly [check: string, set: string] {
  const target = `alter table ${sqlName(...table.split("."))}`;
  const check = sqlName(`${column}_not_null`);
  return [
    `${target} add constraint ${check} check (${sqlName(column)} is not null) not valid`,
    [
      `${target} validate constraint ${check}`,
      `${target} alter column ${sqlName(column)} set not null`,
      `${target} drop constraint ${check}`,
    ].join(";\n"),
  ];
}

/** ADD COLUMN cut in two before its one constraint; null when the words are not where they must be. */
export function cutBefore(sql: string, words: RegExp): readonly [column: string, constraint: string] | null {
  const found = words.exec(sql);
  // In a string or a comment the words may mean something else.
  if (!found || /--|\/\*/.test(sql) || /'/.test(sql.slice(0, found.index))) return null;
  return [sql.slice(0, found.index), sql.slice(found.index).trim()];
}
