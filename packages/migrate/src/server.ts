import type { Queryable } from "@db/core";
import { UnsupportedServerError } from "./errors.ts";

/** What a plan is made for. */
export interface ServerFacts {
  /** As `server_version_num`: 180004. */
  readonly version: number;
  readonly database: string;
  readonly inRecovery: boolean;
  readonly readOnly: boolean;
}

/** The columns of `ServerFacts`. */
export const factsSql = /* sql */ `
  select current_setting('server_version_num')::int as version, current_database() as database,
         pg_is_in_recovery() as "inRecovery", current_setting('transaction_read_only') = 'on' as "readOnly"`;

/** @throws {UnsupportedServerError} for servers older than PostgreSQL 12 */
export async function readServer(session: Queryable): Promise<ServerFacts> {
  const { rows } = await session.query<ServerFacts>(factsSql);
  return supported(rows[0]);
}

/** @throws {UnsupportedServerError} for servers older than PostgreSQL 12 */
export function supported<Facts extends ServerFacts>(facts: Facts | undefined): Facts {
  if (!facts || facts.version < 120_000) {
    const major = Math.floor((facts?.version ?? 0) / 10_000);
    throw new UnsupportedServerError(`PostgreSQL ${major} is too old to migrate`, {
      hint: "Use PostgreSQL 12 or later.",
    });
  }
  return facts;
}

/** @throws {UnsupportedServerError} when nothing can be written */
export function requireWritable(server: ServerFacts): void {
  if (server.inRecovery) {
    throw new UnsupportedServerError("the server is a standby: nothing can be written there", {
      hint: "Connect to the primary.",
    });
  }
  if (server.readOnly) {
    throw new UnsupportedServerError("the session is read-only: default_transaction_read_only is on", {
      hint: "Use a role or connection that may write.",
    });
  }
}
