import { type Candidate, candidatesFor, type CandidateLimits } from "./candidate.ts";
import { createIndexSql, dropIndexSql, type IndexDefinition, indexName } from "./definition.ts";
import { quoteIdentifier } from "@db/core";
import type { PlanSummary } from "./explain.ts";
import type { QueryShape } from "./query-shape.ts";
import type { HelpedStatement, IndexRecommendation } from "./report.ts";
import { resolveBlock } from "./resolve.ts";
import { estimateIndexBytes } from "./size.ts";
import { planPartitioned } from "./partition.ts";
import type { IndexSnapshot, TableFacts, WorkloadStatement } from "./snapshot.ts";

/** A statement as far as the analysis could read it. */
export interface AnalyzedStatement {
  readonly statement: WorkloadStatement;
  readonly shape: QueryShape;
  /** Null when the server would not plan it as it was recorded. */
  readonly plan: PlanSummary | null;
}

/** A recommendation in the making: one index and every statement it helps. */
export interface MergedCandidate {
  readonly candidate: Candidate;
  readonly helps: readonly HelpedStatement[];
}

/**
 * Decides which indexes the statements want: candidates of each, those that a wider one covers folded into it, those
 * that save less than `minGain` left out. Pure.
 */
export function planIndexes(
  statements: readonly AnalyzedStatement[],
  snapshot: IndexSnapshot,
  limits: CandidateLimits & { readonly minGain: number },
): readonly MergedCandidate[] {
  const byName = new Map<string, { candidate: Candidate; helps: HelpedStatement[] }>();
  for (const { statement, shape, plan } of statements) {
    for (const candidate of shape.blocks
      .flatMap((block) => resolveBlock(block, snapshot))
      .flatMap((use) => candidatesFor(use, snapshot, limits))) {
      const help = helpOf(statement, plan, candidate);
      if (help === undefined || help.costAfter > (1 - limits.minGain) * help.costBefore) continue;
      const key = `${candidate.definition.schema}.${indexName(candidate.definition)}`;
      const entry = byName.get(key) ?? { candidate, helps: [] };
      byName.set(key, entry);
      if (!entry.helps.some((other) => other.id === help.id)) entry.helps.push(help);
    }
  }
  return mergePrefixes([...byName.values()]);
}

// The plan says what the server does now: a table it already reads through an index needs no other.
function helpOf(
  statement: WorkloadStatement,
  plan: PlanSummary | null,
  candidate: Candidate,
): HelpedStatement | undefined {
  const { costBefore: own, costAfter, table } = candidate;
  const base = { id: statement.id, text: shorten(statement.text), calls: statement.calls, totalMs: statement.totalMs };
  if (plan === null) return { ...base, costBefore: own, costAfter };
  const scans = plan.nodes.filter((node) => node.relation === table.name && node.type.endsWith("Scan"));
  const costly = scans.reduce((worst, node) => Math.max(worst, node.cost), 0);
  if (scans.length === 0) {
    // Partitions carry their own names.
    return table.kind === "partitioned" ? { ...base, costBefore: own, costAfter } : undefined;
  }
  if (costly <= costAfter) return undefined;
  return { ...base, costBefore: plan.totalCost, costAfter: Math.max(costAfter, plan.totalCost - costly + costAfter) };
}

function mergePrefixes(
  entries: readonly { readonly candidate: Candidate; readonly helps: HelpedStatement[] }[],
): readonly MergedCandidate[] {
  const longestFirst = entries.toSorted((a, b) => keysOf(b).length - keysOf(a).length);
  const kept: { candidate: Candidate; helps: HelpedStatement[] }[] = [];
  for (const entry of longestFirst) {
    const wider = kept.find((other) => isPrefix(entry, other));
    if (wider === undefined) kept.push({ candidate: entry.candidate, helps: [...entry.helps] });
    else wider.helps.push(...entry.helps.filter((help) => !wider.helps.some((other) => other.id === help.id)));
  }
  return kept
    .map(({ candidate, helps }) => ({ candidate, helps: helps.sort((a, b) => b.totalMs - a.totalMs) }))
    .sort((a, b) => savedMs(b.helps) - savedMs(a.helps));
}

function isPrefix(narrow: { readonly candidate: Candidate }, wide: { readonly candidate: Candidate }): boolean {
  const [a, b] = [narrow.candidate.definition, wide.candidate.definition];
  if (a.schema !== b.schema || a.table !== b.table || a.method !== b.method || a.where !== b.where) return false;
  if (a.method !== undefined) return false;
  const [short, long] = [keysOf(narrow), keysOf(wide)];
  const equality = short.slice(0, narrow.candidate.equalityKeys);
  const leading = long.slice(0, equality.length);
  return (
    equality.every((key) => leading.includes(key)) &&
    short.slice(equality.length).every((key, at) => long[equality.length + at] === key)
  );
}

function keysOf({ candidate }: { readonly candidate: Candidate }): readonly string[] {
  return candidate.definition.keys.map((key) => JSON.stringify(key));
}

/** Milliseconds the statements would have saved, as far as cost stands for time. */
export function savedMs(helps: readonly HelpedStatement[]): number {
  return helps.reduce((sum, help) => sum + help.totalMs * savedShare(help), 0);
}

/** Share of one statement's cost that goes away, 0 to 1. */
export function savedShare({ costBefore, costAfter }: HelpedStatement): number {
  return costBefore <= 0 ? 0 : Math.max(0, 1 - costAfter / costBefore);
}

/** Makes a recommendation of a merged candidate, its gain as the engine estimated it. */
export function recommendationOf(
  { candidate, helps }: MergedCandidate,
  engine: "hypopg" | "model",
  planned: boolean,
): IndexRecommendation {
  const { definition, table, why, guessed, costBefore, costAfter } = candidate;
  const time = helps.reduce((sum, help) => sum + help.totalMs, 0);
  const share = helps.reduce(
    (sum, help) => sum + savedShare(help) * (time > 0 ? help.totalMs / time : 1 / helps.length),
    0,
  );
  const gain = helps.length > 0 ? share : Math.max(0, 1 - costAfter / costBefore);
  const confidence = engine === "hypopg" ? "high" : guessed || !planned ? "low" : "medium";
  return {
    ...describeIndex(definition, table),
    why,
    origin: "workload",
    helps,
    gain,
    engine,
    estimatedBytes: estimateIndexBytes(definition, table),
    confidence,
  };
}

/** The statements that make and unmake an index, with the extensions it needs. */
export function describeIndex(
  definition: IndexDefinition,
  table: Pick<TableFacts, "partitions">,
): Pick<IndexRecommendation, "id" | "definition" | "ddl" | "undo"> {
  const named = { ...definition, name: indexName(definition) };
  const create =
    table.partitions === null
      ? [createIndexSql(named, { concurrently: true })]
      : planPartitioned(named, table.partitions).flatMap((step) =>
          step.attach === null ? [step.create] : [step.create, step.attach],
        );
  return {
    id: named.name,
    definition: named,
    ddl: [...extensionStatements(named), ...create],
    undo: dropIndexSql(
      { schema: named.schema ?? "public", name: named.name },
      { concurrently: table.partitions === null },
    ),
  };
}

/** The statements that bring the extensions an index needs. */
export function extensionStatements(definition: IndexDefinition): readonly string[] {
  return (definition.requires ?? []).map((extension) => `create extension if not exists ${quoteIdentifier(extension)}`);
}

function shorten(text: string): string {
  const flat = text.replaceAll(/\s+/g, " ").trim();
  return flat.length <= 500 ? flat : `${flat.slice(0, 499)}…`;
}
