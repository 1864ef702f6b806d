import { type DatabaseLike, messageOf, type Queryable, toDatabase } from "@db/core";
import { toText } from "../collector.ts";
import { monitorDefaults } from "../options.ts";
import { redactSql, statementMark } from "../redact.ts";
import { withLimits } from "../session.ts";
import { findStatements } from "./inspect.ts";

/** One node of a plan, in the order it is printed. */
export interface StatementPlanNode {
  readonly depth: number;
  /** `Index Scan`, `Hash Join`. */
  readonly node: string;
  /** Relation, and index where one is used; empty for a node that reads none. */
  readonly on: string;
  /** What the planner expects: rows, and cost in its own units. */
  readonly rows: number;
  readonly cost: number;
  /** Conditions without their literals. */
  readonly condition: string;
}

/** How the server would run a statement for average values. The statement is never run. */
export interface StatementPlan {
  readonly queryId: string;
  /** Normalised, without literals. */
  readonly query: string;
  readonly nodes: readonly StatementPlanNode[];
  /** Why there is no plan; `null` when there is one. */
  readonly note: string | null;
}

interface ExplainNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly Alias?: string;
  readonly "Index Name"?: string;
  readonly "Plan Rows": number;
  readonly "Total Cost": number;
  readonly Plans?: readonly ExplainNode[];
  readonly [key: string]: unknown;
}

const conditions = [
  "Index Cond",
  "Recheck Cond",
  "Filter",
  "Hash Cond",
  "Merge Cond",
  "Join Filter",
  "Sort Key",
  "Group Key",
];
const plannable = /^\s*(?:\/\*[\s\S]*?\*\/\s*)*(?:select|with|insert|update|delete|merge|values|table)\b/i;
const prepared = "db_monitor_statement";

/**
 * The generic plan of a statement that `pg_stat_statements` has recorded, by its id; no other text is ever planned.
 * @returns undefined when no statement of this database has that id
 */
export async function explainStatement(db: DatabaseLike, queryId: string): Promise<StatementPlan | undefined> {
  return toDatabase(db).withTransaction((tx) =>
    withLimits(tx, monitorDefaults, async () => {
      await tx.query("set transaction read only");
      const statements = await findStatements(tx);
      if (statements === "" || !isQueryId(queryId)) return undefined;
      const { rows } = await tx.query<{ query: string }>(
        `select query from ${statements} s
          where s.queryid = $1::int8 and s.dbid = (select oid from pg_catalog.pg_database where datname = current_database())
          order by s.calls desc limit 1 ${statementMark}`,
        [queryId],
      );
      const text = rows[0]?.query;
      if (text === undefined) return undefined;
      const query = redactSql(text, 8_000);
      if (!plannable.test(text)) return { queryId, query, nodes: [], note: "A statement of this kind has no plan." };
      return { queryId, query, ...(await planOf(tx, text)) };
    }),
  );
}

// A number that is no int8 is nobody's id: asking for it would be an error of the server.
function isQueryId(text: string): boolean {
  return /^-?\d{1,20}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text);
}

// A prepared statement, forced to its generic plan, works on every version; its NULLs are never looked at.
async function planOf(tx: Queryable, text: string): Promise<Pick<StatementPlan, "nodes" | "note">> {
  const parameters = Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map((match) => Number(match[1])));
  await tx.query("savepoint plan");
  try {
    await tx.query("set local plan_cache_mode = force_generic_plan");
    await tx.query(`prepare ${prepared} as ${text}`);
    const nulls = Array.from({ length: parameters }, () => "null").join(", ");
    const { rows } = await tx.query<Record<string, unknown>>(
      `explain (format json) execute ${prepared}${parameters === 0 ? "" : `(${nulls})`}`,
    );
    const output = rows[0]?.["QUERY PLAN"];
    const [first] = (typeof output === "string" ? JSON.parse(output) : output) as [{ Plan: ExplainNode }];
    return { nodes: flatten(first.Plan, 0), note: null };
  } catch (error) {
    await tx.query("rollback to savepoint plan");
    return { nodes: [], note: `The server cannot plan it as it was recorded: ${redactSql(messageOf(error), 200)}` };
  } finally {
    // Prepared statements outlive a rollback.
    await tx.query("savepoint deallocate");
    await tx.query(`deallocate ${prepared}`).catch(() => tx.query("rollback to savepoint deallocate"));
  }
}

function flatten(node: ExplainNode, depth: number): StatementPlanNode[] {
  const told = conditions.flatMap((name) => {
    const value = node[name];
    return value === undefined
      ? []
      : [`${name}: ${redactSql(Array.isArray(value) ? value.join(", ") : toText(value), 300)}`];
  });
  return [
    {
      depth,
      node: node["Node Type"],
      on: [node["Relation Name"], node["Index Name"] && `using ${node["Index Name"]}`].filter(Boolean).join(" "),
      rows: node["Plan Rows"],
      cost: node["Total Cost"],
      condition: told.join("; "),
    },
    ...(node.Plans ?? []).flatMap((child) => flatten(child, depth + 1)),
  ];
}
