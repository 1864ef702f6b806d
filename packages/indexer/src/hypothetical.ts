import { type Queryable, quoteLiteral } from "@db/core";
import { createIndexSql } from "./definition.ts";
import { explainGeneric } from "./explain.ts";
import type { MergedCandidate } from "./plan.ts";
import type { HelpedStatement } from "./report.ts";

/**
 * Asks the planner itself what it would do with an index, through the extension hypopg. The index exists only in
 * this session's memory. Statements the planner would not use it for are taken out.
 * @returns undefined when hypopg knows no such index (GIN, GiST)
 */
export async function tryHypothetical(
  tx: Queryable,
  merged: MergedCandidate,
  texts: ReadonlyMap<string, string>,
): Promise<MergedCandidate | undefined> {
  const method = merged.candidate.definition.method ?? "btree";
  if (method !== "btree" && method !== "brin" && method !== "hash") return undefined;
  await tx.query("savepoint hypothetical");
  try {
    const made = await tx.query<{ name: string }>(
      `select indexname as name from hypopg_create_index(${quoteLiteral(createIndexSql(merged.candidate.definition))})`,
    );
    const name = made.rows[0]?.name;
    const helps: HelpedStatement[] = [];
    for (const help of merged.helps) {
      const plan = await explainGeneric(tx, texts.get(help.id) ?? "");
      if (plan === undefined) helps.push(help);
      else if (name !== undefined && plan.indexes.includes(name)) helps.push({ ...help, costAfter: plan.totalCost });
    }
    await tx.query("select hypopg_reset()");
    await tx.query("release savepoint hypothetical");
    return { candidate: merged.candidate, helps };
  } catch {
    await tx.query("rollback to savepoint hypothetical");
    return undefined;
  }
}
