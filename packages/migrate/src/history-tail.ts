import { type Queryable, quoteLiteral } from "@db/core";
import type { HistoryEntry } from "./history.ts";
import type { HistoryOptions } from "./options.ts";
import { snapshotTable } from "./snapshot.ts";

/**
 * The migration the newest snapshot was taken after, when the history has no row of it any more: what the chain cannot
 * tell, since it holds for what is left when its end is cut off. Null when nothing is lost.
 */
export async function findLostTail(
  session: Queryable,
  history: HistoryOptions,
  entries: readonly Pick<HistoryEntry, "id">[],
): Promise<string | null> {
  const table = snapshotTable(history);
  // Asked for and not tried: this runs inside transactions too. Without a snapshot no run has ended yet.
  const there = await session.query<{ there: boolean }>("select to_regclass($1) is not null as there", [table]);
  if (!there.rows[0]?.there) return null;
  const { rows } = await session.query<{ id: string | null }>(
    `select migration_id as id from ${table} order by ${table}.id desc limit 1`,
  );
  const id = rows[0]?.id ?? null;
  return id === null || entries.some((entry) => entry.id === id) ? null : id;
}

/** Takes the loss of a row for meant: no snapshot speaks of it any more. */
export function forgetTailSql(history: HistoryOptions, id: string): string {
  return `update ${snapshotTable(history)} set migration_id = null where migration_id = ${quoteLiteral(id)} returning id`;
}
