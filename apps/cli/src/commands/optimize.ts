import { formatBytes } from "@db/core";
import type { IndexRecommendation, Orchestrator } from "@db/orchestrator";
import type { CommandResult, Input } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { findingsText } from "../findings-text.ts";
import { nearest } from "../nearest.ts";

/** `db optimize` */
export async function report(context: Context): Promise<CommandResult> {
  const { indexes } = await context.orchestrator({ readOnly: true });
  const found = await indexes.analyze({ onProgress: context.onProgress, signal: context.signal });
  const advice = found.recommendations;
  const lines = [
    `${found.workload.statements} statements, ${found.tables} tables, ${found.indexes} indexes looked at${found.workload.reason === null ? "" : ` (${found.workload.reason})`}`,
    ...advice.map(describe),
    findingsText(found.findings, context.terminal, 40),
  ];
  return {
    data: found,
    text: lines.filter((line) => line !== "").join("\n"),
    findings: found.findings,
    gate: true,
    ...(advice.length > 0 ? { next: [`db optimize apply ${advice[0]!.id} --dry-run`] } : {}),
  };
}

/** `db optimize apply [index]` */
export async function apply(context: Context, input: Input): Promise<CommandResult> {
  const orchestrator = await context.orchestrator();
  const recommendation = await choose(orchestrator, input.arguments["index"], context.signal);
  const changes = recommendation.ddl.map((sql) => ({ kind: "create_index", object: recommendation.id, sql }));
  const call = { onProgress: context.onProgress, signal: context.signal };
  const result = await orchestrator.indexes.apply(recommendation, { ...call, dryRun: context.dryRun });
  const size = result.bytes === null ? "" : `, ${formatBytes(result.bytes)}`;
  return {
    data: { recommendation, result },
    text: context.dryRun
      ? recommendation.ddl.map((sql) => `${sql};`).join("\n")
      : `${result.index}: ${result.outcome}${size}; undo with: ${recommendation.undo}`,
    changes,
  };
}

async function choose(
  { indexes }: Orchestrator,
  name: string | undefined,
  signal: AbortSignal,
): Promise<IndexRecommendation> {
  const { recommendations: all } = await indexes.analyze({ signal });
  const found = name === undefined ? all[0] : all.find(({ id }) => id === name);
  if (found) return found;
  const ids = all.map(({ id }) => id);
  if (name === undefined)
    throw new UsageError("no index is recommended", {
      hint: "Let the application run for a while, then look at: db optimize",
    });
  const suggestion = nearest(name, ids);
  throw new UsageError(`no recommended index is named "${name}"`, {
    hint: suggestion === undefined ? `Recommended now: ${ids.join(", ") || "none"}.` : `Did you mean ${suggestion}?`,
  });
}

function describe({ id, why, gain, definition, estimatedBytes, confidence }: IndexRecommendation): string {
  const size = estimatedBytes === null ? "" : `, about ${formatBytes(estimatedBytes)}`;
  return `create   ${id} on ${definition.table}${gain === null ? "" : `, saves ${Math.round(gain * 100)} %`}${size}, confidence ${confidence}\n         ${why}`;
}
