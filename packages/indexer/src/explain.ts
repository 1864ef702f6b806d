import type { Queryable } from "@db/core";

/** One step of a plan, without the values in its conditions. */
export interface PlanNode {
  /** `Seq Scan`, `Index Scan`, `Bitmap Heap Scan`, `Sort`. */
  readonly type: string;
  readonly relation: string | null;
  readonly index: string | null;
  readonly rows: number;
  /** Planner's units, this node with those under it. */
  readonly cost: number;
  readonly depth: number;
}

/** What a plan does, step by step from the top. */
export interface PlanSummary {
  readonly totalCost: number;
  readonly nodes: readonly PlanNode[];
  /** Names of the indexes it uses. */
  readonly indexes: readonly string[];
  /** Tables it reads whole. */
  readonly sequentialScans: readonly string[];
}

interface ExplainNode {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Name"?: string;
  "Plan Rows"?: number;
  "Total Cost"?: number;
  Plans?: ExplainNode[];
}

/** The output of EXPLAIN (FORMAT JSON), as far as it is used. */
export interface ExplainOutput {
  readonly Plan: ExplainNode;
  readonly "Planning Time"?: number;
  readonly "Execution Time"?: number;
}

/** Reads the output of EXPLAIN (FORMAT JSON), which drivers give parsed or as text. */
export function readExplain(row: object | undefined): ExplainOutput {
  const value = Object.values(row ?? {})[0] as string | readonly ExplainOutput[];
  const parsed = (typeof value === "string" ? JSON.parse(value) : value) as readonly ExplainOutput[];
  return parsed[0]!;
}

/** Shortens a plan to what can be shown. */
export function summarizePlan(output: ExplainOutput): PlanSummary {
  const nodes: PlanNode[] = [];
  const walk = (node: ExplainNode, depth: number): void => {
    nodes.push({
      type: node["Node Type"],
      relation: node["Relation Name"] ?? null,
      index: node["Index Name"] ?? null,
      rows: node["Plan Rows"] ?? 0,
      cost: node["Total Cost"] ?? 0,
      depth,
    });
    for (const child of node.Plans ?? []) walk(child, depth + 1);
  };
  walk(output.Plan, 0);
  const unique = (names: readonly (string | null)[]): readonly string[] =>
    [...new Set(names.filter((name) => name !== null))].sort();
  return {
    totalCost: output.Plan["Total Cost"] ?? 0,
    nodes,
    indexes: unique(nodes.map((node) => node.index)),
    sequentialScans: unique(nodes.filter(({ type }) => type === "Seq Scan").map(({ relation }) => relation)),
  };
}

/** The number of parameters in a normalised statement: the highest `$n`. */
export function parameterCount(text: string): number {
  return Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map((match) => Number(match[1])));
}

/**
 * The plan of a normalised statement for average values, without running it. A prepared statement, forced to its
 * generic plan, works on every version; its NULLs are never looked at.
 * @returns undefined when the statement cannot be prepared as it was recorded, such as with `interval $1`
 */
export async function explainGeneric(tx: Queryable, text: string): Promise<PlanSummary | undefined> {
  const count = parameterCount(text);
  const name = "db_indexer_statement";
  await tx.query("savepoint explain");
  try {
    if (count === 0) {
      const { rows } = await tx.query<object>(`explain (format json) ${text}`);
      await tx.query("release savepoint explain");
      return summarizePlan(readExplain(rows[0]));
    }
    await tx.query("set local plan_cache_mode = force_generic_plan");
    await tx.query(`prepare ${name} as ${text}`);
    const nulls = Array.from({ length: count }, () => "null").join(", ");
    const { rows } = await tx.query<object>(`explain (format json) execute ${name}(${nulls})`);
    return summarizePlan(readExplain(rows[0]));
  } catch {
    await tx.query("rollback to savepoint explain");
    return undefined;
  } finally {
    // Prepared statements outlive a rollback.
    if (count > 0) {
      await tx.query("savepoint deallocate");
      await tx.query(`deallocate ${name}`).catch(() => tx.query("rollback to savepoint deallocate"));
    }
  }
}
