import { type DatabaseLike, toDatabase } from "@db/core";
import { pauseBackfills } from "./backfill-run.ts";
import { History } from "./history.ts";
import type { HistoryOptions } from "./options.ts";

/**
 * Asks the backfill under way, here or in another process, to stop after its batch; the next run goes on from there.
 * @returns how many were asked; 0 when none is under way
 */
export function pauseBackfill(db: DatabaseLike, options: HistoryOptions = {}): Promise<number> {
  return toDatabase(db).withSession((session) => pauseBackfills(session, new History(options)));
}
