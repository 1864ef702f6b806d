import type { Queryable } from "@db/core";
import { chainOf, sha256 } from "./checksum.ts";
import type { MigrationFolder } from "./folder.ts";
import type { History } from "./history.ts";
import { existsSql } from "./history-sql.ts";
import { factsSql, type ServerFacts, supported } from "./server.ts";

/** What a start asks first: enough to know when there is nothing to do. */
export interface Opening {
  readonly server: ServerFacts;
  /** Whether there is a history. */
  readonly exists: boolean;
  /** Hash over the history; null without one. */
  readonly digest: string | null;
}

/** @throws {UnsupportedServerError} {@link HistoryError} */
export async function readOpening(session: Queryable, history: History): Promise<Opening> {
  const { rows } = await session.query<ServerFacts & { exists: boolean }>(`${factsSql}, (${existsSql}) as "exists"`, [
    history.schema,
    history.table,
  ]);
  const { exists, ...server } = supported(rows[0]);
  return { server, exists, digest: exists ? await history.digest(session) : null };
}

/**
 * Whether the history is settled: every file of the folder is applied as it stands now, in the folder's order, each
 * linked to the one before it, and the history holds nothing else. Decided by one hash that the server and this side
 * each make of their own, so that a start with nothing to do, which is nearly every one, reads no rows. Whatever
 * differs, be it only the order, is for the whole comparison to judge. Pure.
 */
export function isSettled(folder: MigrationFolder, { digest }: Pick<Opening, "digest">): boolean {
  // drizzle's own history is to be looked at too.
  return digest !== null && folder.format === "sql" && folder.migrations.length > 0 && digest === settledDigest(folder);
}

/** The hash of the history that a folder leads to. */
function settledDigest({ migrations }: MigrationFolder): string {
  let link: string | null = null;
  const rows: string[] = [];
  for (const { id, kind, checksum } of migrations) {
    const chain: string | null = kind === "versioned" ? chainOf(link, checksum) : null;
    link = chain ?? link;
    // As the server writes JSON.
    rows.push(
      `[${JSON.stringify(id)}, "${kind}", "applied", "${checksum}", ${chain === null ? "null" : `"${chain}"`}]`,
    );
  }
  return sha256(rows.join("\n"));
}
