import type { Queryable } from "@db/core";
import { toNumber, toText } from "./collector.ts";
import type { Identity } from "./facts.ts";
import { freeText, type Row, rowsSql } from "./rows.ts";

/** What the monitor's session is limited to, so that watching never becomes the fault. */
export interface SessionLimits {
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
}

/** The server as its session sees it. */
export interface SessionIdentity extends Identity {
  readonly versionNum: number;
  readonly role: string;
  readonly standby: boolean;
  /** `startedAt` as exactly as the server knows it: it may start twice a second. */
  readonly startedExactly: string;
  /** The server process of the session. */
  readonly pid: number;
  /** True for a session that came under the monitor's name: it is nobody else's, and keeps what is set in it. */
  readonly own: boolean;
}

/** What tells that a session is still the one it was: the monitor's own, limited, on the same server in the same role. */
export const stillSql: string = rowsSql(
  [
    "pg_catalog.pg_backend_pid()",
    "pg_catalog.pg_is_in_recovery()",
    freeText("pg_catalog.current_setting('application_name')"),
    freeText("pg_catalog.current_setting('db_monitor.limits', true)"),
    "pg_catalog.pg_has_role('pg_monitor', 'usage')",
  ],
  "",
);

/** @param row what `stillSql` gave */
export function isStill({ pid, standby, canMonitor }: SessionIdentity, limits: SessionLimits, row: Row = []): boolean {
  return (
    row[0] === String(pid) &&
    row[1] === (standby ? "t" : "f") &&
    row[2] === ownApplicationName &&
    row[3] === limitsText(limits) &&
    row[4] === (canMonitor ? "t" : "f")
  );
}

/** The `application_name` of the monitor's sessions, and what makes one its own. */
export const ownApplicationName = "db-monitor";

const limitsText = (limits: SessionLimits): string => `${limits.statementTimeoutMs}/${limits.lockTimeoutMs}`;

const settings = (limits: SessionLimits): Readonly<Record<string, string>> => ({
  statement_timeout: String(Math.round(limits.statementTimeoutMs)),
  lock_timeout: String(Math.round(limits.lockTimeoutMs)),
  idle_in_transaction_session_timeout: "5000",
  default_transaction_read_only: "on",
  jit: "off",
  // A collector is small: workers would only take them from the application.
  max_parallel_workers_per_gather: "0",
  application_name: ownApplicationName,
  // Says in an own session that these are in force, whatever the server makes of "2000".
  "db_monitor.limits": limitsText(limits),
});

const names = Object.keys(settings({ statementTimeoutMs: 0, lockTimeoutMs: 0 }));

// The role is looked up before it is asked about: servers before 10 have no pg_monitor, and must be told apart.
const identitySql = /* sql */ `
  select current_setting('server_version_num') as version_num, pg_catalog.pg_is_in_recovery() as standby,
         pg_catalog.pg_backend_pid() as pid, current_database()::text as database, current_user::text as role,
         case when exists (select 1 from pg_catalog.pg_roles where rolname = 'pg_monitor')
              then pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage') else false end as can_monitor,
         to_char(pg_catalog.pg_postmaster_start_time() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as started_at,
         pg_catalog.pg_postmaster_start_time()::text as started_exactly,
         ${names.map((name, i) => `current_setting('${name}', true) as s${i}`).join(", ")}`;

const setSql = `select ${names.map((name, i) => `set_config('${name}', $${i + 1}, false)`).join(", ")}`;

/**
 * Limits the session, runs `use`, and sets everything back, so that a session of a shared pool returns as it came. A
 * session that came under the monitor's own name stays limited: nobody else uses it, and setting it costs time.
 * When `use` fails the session is still set back; when that fails too, the first error is the one thrown.
 */
export async function withLimits<T>(
  session: Queryable,
  limits: SessionLimits,
  use: (identity: SessionIdentity) => Promise<T>,
): Promise<T> {
  const { rows } = await session.query<Record<string, unknown>>(identitySql);
  const row = rows[0] ?? {};
  const versionNum = toNumber(row["version_num"]) ?? 0;
  const before = names.map((_, i) => toText(row[`s${i}`]));
  const wanted = Object.values(settings(limits));
  const own = before.at(-2) === ownApplicationName;
  const identity: SessionIdentity = {
    versionNum,
    standby: row["standby"] === true,
    database: toText(row["database"]),
    role: toText(row["role"]),
    canMonitor: row["can_monitor"] === true,
    startedAt: toText(row["started_at"]),
    startedExactly: toText(row["started_exactly"]),
    pid: toNumber(row["pid"]) ?? 0,
    own,
  };
  if (!own || before.at(-1) !== wanted.at(-1)) await session.query(setSql, wanted);
  if (own) return use(identity);
  let result: T;
  try {
    result = await use(identity);
  } catch (error) {
    await session.query(setSql, before).catch(() => undefined);
    throw error;
  }
  await session.query(setSql, before);
  return result;
}
