import { type DatabaseLike, formatDuration } from "@db/core";
import { MigrationOptionsError, MigrationsRefusedError, StalePlanError } from "./errors.ts";
import { type ApplyOptions, resolveApplyOptions } from "./options.ts";
import type { MigrationPlan } from "./plan.ts";
import type { MigrationReport } from "./report.ts";
import { ReportBuilder } from "./report-builder.ts";

/**
 * Applies a plan: one runner at a time, each migration in its own transaction or, where that cannot be, statement by
 * statement with a journal. Run again after any interruption, it goes on where it stopped.
 * @throws {MigrationsRefusedError} when the plan is blocked, {@link StalePlanError} when something moved since
 * @throws {MigrationLockTimeoutError} {@link UnsupportedServerError} {@link UncertainStatementError}
 * @throws {MigrationFailedError} with the report of what was done before the failure
 */
export async function applyMigrations(
  db: DatabaseLike,
  plan: MigrationPlan,
  options: ApplyOptions = {},
): Promise<MigrationReport> {
  const resolved = resolveApplyOptions(options);
  if (plan.format !== 1) {
    throw new MigrationOptionsError(`the plan has format ${String(plan.format)}, this version reads format 1`, {
      hint: "Plan again with this version.",
    });
  }
  if (plan.blocked && !resolved.allowBlocked) {
    throw new MigrationsRefusedError(plan.findings.filter((finding) => finding.blocks));
  }
  const ageMs = resolved.clock.now() - Date.parse(plan.createdAt);
  if (ageMs > resolved.maxPlanAgeMs) {
    const allowed = formatDuration(resolved.maxPlanAgeMs);
    throw new StalePlanError([`it was made ${formatDuration(ageMs)} ago, and ${allowed} are allowed`]);
  }
  const report = new ReportBuilder(plan, resolved);
  if (plan.migrations.length === 0 && plan.adopt.length === 0) return report.finish();
  // A start with nothing to do, which is nearly every one, goes without loading what runs a plan.
  const { runPlan } = await import("./running.ts");
  return runPlan(db, plan, resolved, report);
}
