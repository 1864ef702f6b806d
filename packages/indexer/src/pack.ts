import { type DatabaseLike, type Queryable, quoteQualified, sqlStateOf, toDatabase } from "@db/core";
import { applyRecommendation, type ApplyResult } from "./apply.ts";
import { collectIndexSnapshot } from "./collect.ts";
import type { IndexDefinition } from "./definition.ts";
import { InvalidIndexError } from "./errors.ts";
import type { ApplyOptions } from "./options.ts";
import { describeIndex } from "./plan.ts";
import type { IndexRecommendation } from "./report.ts";
import { servingIndex } from "./serving.ts";
import { estimateIndexBytes } from "./size.ts";
import { findTableFacts, type IndexSnapshot } from "./snapshot.ts";

/** A named index of a pack, with its reason. */
export interface PackIndex extends IndexDefinition {
  readonly name: string;
  /** Which question it makes fast, in one sentence. */
  readonly why: string;
}

/** The indexes one application wants, as data. */
export interface IndexPack {
  readonly name: string;
  readonly description?: string;
  readonly indexes: readonly PackIndex[];
}

/** What a pack comes to on one database. Plain data. */
export interface IndexPackPlan {
  readonly pack: string;
  /** To be made, in the pack's order. */
  readonly create: readonly IndexRecommendation[];
  /** There already: by name, or another index that does the same. */
  readonly present: readonly { readonly name: string; readonly by: string }[];
  /** There, but left invalid by a build that failed; `create` makes them anew. */
  readonly invalid: readonly string[];
  /** What cannot be made here, and why; nothing of the pack is applied while there is any. */
  readonly problems: readonly { readonly index: string; readonly problem: string }[];
}

/** Compares a pack with what the database has. Reads only. */
export async function planIndexPack(db: DatabaseLike, pack: IndexPack): Promise<IndexPackPlan> {
  return toDatabase(db).withTransaction(async (tx) => {
    await tx.query("set transaction read only");
    const snapshot = await collectIndexSnapshot(tx, { workload: [], maxStatements: 1, replicas: [] });
    const problems: { index: string; problem: string }[] = [];
    const create: IndexRecommendation[] = [];
    const present: { name: string; by: string }[] = [];
    const invalid: string[] = [];
    for (const index of pack.indexes) {
      const found = [...definitionProblems(index, snapshot), ...(await expressionProblems(tx, index, snapshot))];
      problems.push(...found.map((problem) => ({ index: index.name, problem })));
      if (found.length > 0) continue;
      const { schema = "public" } = index;
      const table = findTableFacts(snapshot, index.table, schema)!;
      const named = snapshot.indexes.find((own) => own.schema === schema && own.name === index.name);
      const same = index.unique === true ? undefined : servingIndex(index, 0, snapshot.indexes, table);
      if (named?.valid === true) present.push({ name: index.name, by: named.name });
      else if (same !== undefined) present.push({ name: index.name, by: same.name });
      else {
        if (named !== undefined) invalid.push(index.name);
        const { why, ...definition } = index;
        create.push({
          ...describeIndex(definition, table),
          why,
          origin: "pack",
          helps: [],
          gain: null,
          engine: null,
          estimatedBytes: estimateIndexBytes(definition, table),
          confidence: "high",
        });
      }
    }
    return { pack: pack.name, create, present, invalid, problems };
  });
}

/**
 * Makes what a pack lacks, one index after another, as `applyRecommendation` does. What was made stays when a later
 * one fails; called again it goes on from there.
 * @throws {InvalidIndexError} before the first, when any of the pack cannot be made here
 */
export async function applyIndexPack(
  db: DatabaseLike,
  pack: IndexPack,
  options: ApplyOptions = {},
): Promise<readonly ApplyResult[]> {
  const plan = await planIndexPack(db, pack);
  if (plan.problems.length > 0) {
    const lines = plan.problems.map(({ index, problem }) => `  ${index}: ${problem}`);
    throw new InvalidIndexError(`pack ${pack.name} cannot be applied here\n${lines.join("\n")}`, {
      hint: "Correct the indexes named, or apply the migrations they need first.",
    });
  }
  const results: ApplyResult[] = [];
  for (const [current, item] of plan.create.entries()) {
    options.onProgress?.({ phase: "pack", current, total: plan.create.length, unit: "steps", message: item.id });
    results.push(await applyRecommendation(db, item, options));
  }
  options.onProgress?.({ phase: "pack", current: plan.create.length, total: plan.create.length, unit: "steps" });
  return results;
}

function definitionProblems(index: PackIndex, snapshot: IndexSnapshot): readonly string[] {
  const { schema = "public" } = index;
  const table = findTableFacts(snapshot, index.table, schema);
  if (table === undefined) return [`there is no table ${schema}.${index.table}`];
  const problems: string[] = [];
  if (index.keys.length === 0) problems.push("it has no keys");
  for (const key of index.keys) {
    if ((key.column === undefined) === (key.expression === undefined)) {
      problems.push("each key is a column or an expression, one of the two");
    }
  }
  const columns = [...index.keys.map((key) => key.column), ...(index.include ?? [])];
  for (const name of columns) {
    if (name === undefined || table.columns.some((column) => column.name === name)) continue;
    problems.push(`${schema}.${index.table} has no column "${name}"`);
  }
  for (const extension of index.requires ?? []) {
    if (snapshot.installed.includes(extension) || snapshot.available.includes(extension)) continue;
    problems.push(`the server does not have the extension ${extension}`);
  }
  return problems;
}

// The server itself reads the expressions; nothing is run.
async function expressionProblems(
  tx: Queryable,
  index: PackIndex,
  snapshot: IndexSnapshot,
): Promise<readonly string[]> {
  const { schema = "public" } = index;
  if (findTableFacts(snapshot, index.table, schema) === undefined) return [];
  const from = quoteQualified(schema, index.table);
  const expressions = index.keys.map((key) => key.expression).filter((expression) => expression !== undefined);
  const statements = [
    ...expressions.map((expression) => `explain select (${expression}\n) from ${from} where $1::text is null`),
    ...(index.where === undefined ? [] : [`explain select from ${from} where $1::text is null and (${index.where}\n)`]),
  ];
  const problems: string[] = [];
  for (const statement of statements) {
    await tx.query("savepoint expression");
    try {
      await tx.query(statement, ["probe"]);
    } catch (error) {
      await tx.query("rollback to savepoint expression");
      // Reading the table may be forbidden to a role that may still own the index's schema.
      if (sqlStateOf(error) !== "42501") problems.push(error instanceof Error ? error.message : String(error));
    }
    await tx.query("release savepoint expression");
  }
  return problems;
}
