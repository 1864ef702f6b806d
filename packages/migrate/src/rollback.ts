import type { DatabaseLike } from "@db/core";
import type { RollbackOptions } from "./options.ts";
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
