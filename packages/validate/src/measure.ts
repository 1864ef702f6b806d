import type { Queryable } from "@db/core";
import type { Measurement } from "./evaluate.ts";
import type { ResolvedValidationOptions } from "./options.ts";
import { planSteps, type ValidationStep } from "./plan.ts";
import type { ResolvedRule } from "./rule-check.ts";
import { attempt, checkSignal } from "./session.ts";
import { isWholeStepError, sqlErrorText } from "./sql-error.ts";

/** What running the steps of a plan gave. */
export interface Measured {
  readonly measured: ReadonlyMap<string, Measurement>;
  readonly statements: number;
}

/** Runs the steps one by one. A step that breaks is halved until only the rule that broke it is without a result. */
export async function measureRules(
  tx: Queryable,
  rules: readonly ResolvedRule[],
  steps: readonly ValidationStep[],
  { asOf, onProgress, signal, logger }: ResolvedValidationOptions,
): Promise<Measured> {
  const byId = new Map(rules.map((rule) => [rule.id, rule]));
  const measured = new Map<string, Measurement>();
  const queue = [...steps];
  let statements = 0;
  let total = queue.length;
  for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
    checkSignal(signal);
    onProgress({ phase: "validate", current: statements, total, unit: "steps", message: `${step.kind} ${step.table}` });
    const answer = await attempt<Record<string, number | string | null>>(tx, step.sql, [step.kind]);
    statements += 1;
    if (!("error" in answer)) {
      const row = answer.rows[0] ?? {};
      for (const target of step.targets) {
        const value = row[target.column];
        const known = measured.get(target.rule) ?? {};
        measured.set(target.rule, { ...known, [target.as]: value == null ? null : Number(value) });
      }
      continue;
    }
    const halves = isWholeStepError(answer.error) ? [] : halve(step, byId, asOf);
    logger.debug({ table: step.table, kind: step.kind, halves: halves.length }, "a statement failed");
    if (halves.length > 0) {
      queue.unshift(...halves);
      total += halves.length;
      continue;
    }
    for (const { rule } of step.targets) measured.set(rule, { error: sqlErrorText(answer.error) });
  }
  onProgress({ phase: "validate", current: total, total, unit: "steps" });
  return { measured, statements };
}

// One bad value can end a statement that serves many rules; halving finds the rule in log2(n) statements.
function halve(
  step: ValidationStep,
  byId: ReadonlyMap<string, ResolvedRule>,
  asOf: string | undefined,
): readonly ValidationStep[] {
  const ids = [...new Set(step.targets.map((target) => target.rule))];
  if (step.kind !== "scan" || ids.length < 2) return [];
  const middle = Math.ceil(ids.length / 2);
  return [ids.slice(0, middle), ids.slice(middle)].flatMap((half) =>
    planSteps(
      half.map((id) => byId.get(id)!),
      asOf,
    ).filter((candidate) => candidate.kind === "scan"),
  );
}
