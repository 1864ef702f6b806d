import type { Database } from "@db/core";
import {
  explainStatement,
  findStatements,
  inspect,
  type InspectOptions,
  type InspectReport,
  type StatementPlan,
} from "@db/monitor";
import type { AuditTrail } from "./audit.ts";
import { ReadOnlyError } from "./errors.ts";

/** A session, named for good: a pid alone may be another session's a moment later. */
export interface SessionName {
  readonly pid: number;
  /** ISO 8601 with microseconds, as `inspect` gives it. */
  readonly backendStart: string;
}

export type SessionEnd = "cancel" | "terminate";

/** Questions about what the server does now, and the signals that end it. Signals are in the audit trail. */
export interface SessionService {
  /** One of the monitor's inspections. @throws {UnknownInspectionError} */
  inspect(name: string, options?: InspectOptions): Promise<InspectReport>;
  /** The plan of a recorded statement, which is not run; `undefined` when there is no such statement. */
  explain(queryId: string): Promise<StatementPlan | undefined>;
  /** Cancels the statement of a client's session, or ends the session. @returns false when there is no such session */
  end(how: SessionEnd, session: SessionName): Promise<boolean>;
  /** Sets the counters of pg_stat_statements to zero. @returns false where the extension is not created */
  resetStatements(): Promise<boolean>;
}

const signalSql = (how: SessionEnd): string => /* sql */ `
  select pg_catalog.pg_${how}_backend(pid) as done from pg_catalog.pg_stat_activity
   where pid = $1 and backend_start = $2::timestamptz and backend_type = 'client backend'`;

export function createSessionService(options: {
  readonly db: () => Database;
  readonly audit: AuditTrail;
  readonly readOnly: boolean;
}): SessionService {
  const { db, audit, readOnly } = options;
  return {
    inspect: (name, given) => inspect(db(), name, given),
    explain: (queryId) => explainStatement(db(), queryId),
    async end(how, { pid, backendStart }) {
      if (readOnly) throw new ReadOnlyError(how === "cancel" ? "cancelling a statement" : "ending a session");
      return audit.run(
        `session.${how}`,
        async () => {
          const { rows } = await db().query<{ done: boolean }>(signalSql(how), [pid, backendStart]);
          return rows[0]?.done === true;
        },
        (signalled) => ({ pid, backendStart, signalled }),
      );
    },
    async resetStatements() {
      if (readOnly) throw new ReadOnlyError("resetting statement statistics");
      return audit.run(
        "statements.reset",
        async () => {
          const statements = await findStatements(db());
          if (statements === "") return false;
          await db().query(`select ${statements}_reset()`);
          return true;
        },
        (reset) => ({ reset }),
      );
    },
  };
}
