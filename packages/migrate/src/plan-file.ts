import { sha256 } from "./checksum.ts";
import { MigrationOptionsError, StalePlanError } from "./errors.ts";
import type { MigrationPlan } from "./plan.ts";

/** A plan as text to be stored and approved, with a digest of itself before it. */
export function formatPlanFile(plan: MigrationPlan): string {
  return `${JSON.stringify({ digest: digestOf(plan), ...plan }, null, 2)}\n`;
}

/**
 * Reads what `formatPlanFile` wrote. The digest tells of edits and of files cut short; it is no signature: who may write the
 * file can write another digest.
 * @throws {MigrationOptionsError} when the text is no plan, {@link StalePlanError} when it was edited
 */
export function readPlanFile(text: string): MigrationPlan {
  const hint = "Make one with: db migrate plan -o plan.json";
  let value: Partial<MigrationPlan> & { readonly digest?: unknown };
  try {
    value = JSON.parse(text) as typeof value;
  } catch (cause) {
    throw new MigrationOptionsError(`the plan is no JSON: ${(cause as Error).message}`, { cause, hint });
  }
  const { digest, ...plan } = value ?? {};
  if (typeof digest !== "string" || plan.format !== 1 || !Array.isArray(plan.migrations)) {
    throw new MigrationOptionsError("the file holds no migration plan of this version", { hint });
  }
  if (digestOf(plan as MigrationPlan) !== digest)
    throw new StalePlanError(["the plan file was edited after it was made"]);
  return plan as MigrationPlan;
}

function digestOf(plan: MigrationPlan): string {
  return sha256(JSON.stringify(plan));
}
