import { AbortedError, type DatabaseLike, messageOf, type Queryable, toDatabase } from "@db/core";
import { findDuplicates, findForeignKeysWithoutIndex, findInvalid, findUnused } from "./audit.ts";
import { collectIndexSnapshot } from "./collect.ts";
import { explainGeneric } from "./explain.ts";
import { indexFindings } from "./finding.ts";
import { tryHypothetical } from "./hypothetical.ts";
import { type AnalyzeOptions, type ResolvedAnalyzeOptions, resolveAnalyzeOptions } from "./options.ts";
import { type AnalyzedStatement, type MergedCandidate, planIndexes, recommendationOf, savedMs } from "./plan.ts";
import { readQueryShape } from "./query-shape.ts";
import type { IndexRecommendation, IndexReport, UncoveredStatement } from "./report.ts";
import { resolveBlock } from "./resolve.ts";
import type { IndexSnapshot } from "./snapshot.ts";

/**
 * Analyses the indexes of a database against the statements it runs: which are missing, unused, superfluous or
 * invalid, and which foreign keys have none. Reads only, within one read-only transaction; runs no statement of the
 * workload, only asks for its plan.
 * @throws {InvalidIndexError} for options that contradict themselves
 * @throws {AbortedError} when `signal` fires
 */
export async function analyzeIndexes(db: DatabaseLike, options: AnalyzeOptions = {}): Promise<IndexReport> {
  const resolved = resolveAnalyzeOptions(options);
  const { clock, logger } = resolved;
  const started = clock.now();
  const report = await toDatabase(db).withTransaction(async (tx) => {
    await tx.query("set transaction isolation level repeatable read, read only");
    await tx.query("select pg_catalog.set_config('statement_timeout', $1, true)", [
      String(Math.ceil(Math.min(resolved.statementTimeoutMs, 2_147_483_647))),
    ]);
    const snapshot = await collectIndexSnapshot(tx, {
      maxStatements: resolved.maxStatements,
      replicas: resolved.replicas,
      ...(resolved.workload === undefined ? {} : { workload: resolved.workload }),
    });
    const { analyzed, uncovered } = await readStatements(tx, snapshot, resolved);
    const merged = planIndexes(analyzed, snapshot, resolved);
    const recommendations = await estimate(tx, merged, analyzed, snapshot);
    const { source, reason, statements } = snapshot.workload;
    const found = {
      recommendations,
      unused: findUnused(snapshot),
      duplicates: findDuplicates(snapshot),
      invalid: findInvalid(snapshot),
      foreignKeysWithoutIndex: findForeignKeysWithoutIndex(snapshot),
      workload: {
        source,
        reason,
        statements: statements.length,
        totalMs: statements.reduce((sum, statement) => sum + statement.totalMs, 0),
        uncovered,
      },
    };
    return {
      ...found,
      findings: indexFindings(found, snapshot),
      tables: snapshot.tables.length,
      indexes: snapshot.indexes.length,
      statisticsSince: snapshot.statisticsSince,
      startedAt: new Date(started).toISOString(),
      durationMs: clock.now() - started,
    };
  });
  logger.info(
    { recommendations: report.recommendations.length, statements: report.workload.statements },
    "index analysis ended",
  );
  return report;
}

async function readStatements(
  tx: Queryable,
  snapshot: IndexSnapshot,
  { maxStatements, onProgress, signal }: ResolvedAnalyzeOptions,
): Promise<{ readonly analyzed: readonly AnalyzedStatement[]; readonly uncovered: readonly UncoveredStatement[] }> {
  const analyzed: AnalyzedStatement[] = [];
  const uncovered: UncoveredStatement[] = [];
  const statements = snapshot.workload.statements.slice(0, maxStatements);
  for (const [current, statement] of statements.entries()) {
    if (signal?.aborted) throw new AbortedError("the analysis was aborted", { cause: signal.reason });
    onProgress({ phase: "analyse", current, total: statements.length, unit: "steps" });
    try {
      const shape = await readQueryShape(statement.text, snapshot.textSearchConfig);
      // Statements over system catalogs, functions or nothing are not an index's business.
      if (!shape.blocks.some((block) => resolveBlock(block, snapshot).length > 0)) continue;
      const plan = (await explainGeneric(tx, statement.text)) ?? null;
      if (plan === null) uncovered.push({ id: statement.id, reason: "the server cannot plan it as it was recorded" });
      analyzed.push({ statement, shape, plan });
    } catch (error) {
      uncovered.push({ id: statement.id, reason: `it cannot be parsed: ${messageOf(error)}` });
    }
  }
  onProgress({ phase: "analyse", current: statements.length, total: statements.length, unit: "steps" });
  return { analyzed, uncovered };
}

async function estimate(
  tx: Queryable,
  merged: readonly MergedCandidate[],
  analyzed: readonly AnalyzedStatement[],
  snapshot: IndexSnapshot,
): Promise<readonly IndexRecommendation[]> {
  const texts = new Map(analyzed.map(({ statement }) => [statement.id, statement.text]));
  const planned = new Set(analyzed.filter(({ plan }) => plan !== null).map(({ statement }) => statement.id));
  const found: IndexRecommendation[] = [];
  for (const item of merged) {
    const asked = snapshot.installed.includes("hypopg") ? await tryHypothetical(tx, item, texts) : undefined;
    if (asked !== undefined && asked.helps.length === 0) continue;
    found.push(
      recommendationOf(
        asked ?? item,
        asked === undefined ? "model" : "hypopg",
        item.helps.some((help) => planned.has(help.id)),
      ),
    );
  }
  // A guess may save much, and may save nothing: what is surer comes first.
  const rank = (item: IndexRecommendation): number => savedMs(item.helps) * (item.confidence === "low" ? 0.25 : 1);
  return found.sort((a, b) => rank(b) - rank(a));
}
