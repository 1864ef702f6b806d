import { type DatabaseLike, toDatabase } from "@db/core";
import { History } from "./history.ts";
import type { HistoryOptions } from "./options.ts";

/**
 * Asks the backfill under way, here or in another process, to stop after its batch; the next run goes on from there.
 * @returns how many were asked; 0 when none is under way
 */
export async function pauseBackfill(db: DatabaseLike, options: HistoryOptions = {}): Promise<number> {
  const { pauseBackfills } = await import("./backfill-run.ts");
  return toDatabase(db).withSession((session) => pauseBackfills(session, new History(options)));
}
