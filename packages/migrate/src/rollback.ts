import type { DatabaseLike } from "@db/core";
import type { CancelOptions, RollbackOptions } from "./options.ts";
import type { MigrationPlan } from "./plan.ts";

/**
 * Plans to undo the newest migrations, newest first. The down section comes from the file or, when that is gone or
 * was edited, from the history. Writes nothing; `applyMigrations` runs it.
 * @throws {UnknownMigrationError} when `to` is no applied migration; otherwise as `planMigrations`
 */
export async function planRollback(db: DatabaseLike, options: RollbackOptions): Promise<MigrationPlan> {
  // Undoing is rare and brings the parser with it.
  const { makeRollbackPlan } = await import("./rollback-plan.ts");
  return makeRollbackPlan(db, options);
}

/**
 * Plans to take back an online migration that is not contracted yet, by its cancel section.
 * @throws {UnknownMigrationError} when `migration` is not under way; otherwise as `planMigrations`
 */
export async function planCancel(db: DatabaseLike, options: CancelOptions): Promise<MigrationPlan> {
  const { makeCancelPlan } = await import("./rollback-plan.ts");
  return makeCancelPlan(db, options);
}
