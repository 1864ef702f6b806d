import { formatDuration, quoteIdentifier, quoteLiteral } from "@db/core";
import type { BlockingFact, Facts, SessionFact, XminHolder } from "../facts.ts";
import type { ServerSnapshot } from "../snapshot.ts";

/** What is known about the one case beyond what the rule says of all. */
export interface Advice {
  readonly hint?: string;
  readonly command?: string;
}

type Adviser = (facts: Facts, labels: Readonly<Record<string, string>>) => Advice;

const none: Advice = {};

/** The exact command for this case, from what the collectors saw. Empty where they saw nothing in particular. */
export function adviceFor(
  rule: string,
  labels: Readonly<Record<string, string>>,
  server: ServerSnapshot | undefined,
): Advice {
  return (server && advisers[rule]?.(server.facts, labels)) ?? none;
}

const advisers: Readonly<Record<string, Adviser>> = {
  PgLockWait: blockedBy,
  PgBlockedSessions: blockedBy,
  PgIdleInTransaction: ({ sessions = [] }) => {
    const worst = longest(
      sessions.filter(({ state }) => state.startsWith("idle in transaction")),
      ({ stateSeconds }) => stateSeconds,
    );
    return worst ? { hint: `${nameOf(worst)} is idle inside a transaction.`, command: terminate(worst) } : none;
  },
  PgLongTransaction: ({ sessions = [] }, { datname }) => {
    const worst = longest(
      sessions.filter(({ database }) => database === datname),
      ({ transactionSeconds }) => transactionSeconds,
    );
    return worst ? { hint: `${nameOf(worst)} keeps it open.`, command: terminate(worst) } : none;
  },
  PgLongQuery: ({ sessions = [] }) => {
    const worst = longest(
      sessions.filter(({ state }) => state === "active"),
      ({ querySeconds }) => querySeconds,
    );
    return worst ? { hint: `${nameOf(worst)} runs it: ${worst.query}`, command: cancel(worst) } : none;
  },
  PgXminHorizonHeld: ({ xminHolders = [] }, { holder }) => {
    const worst = xminHolders.find((candidate) => candidate.holder === holder);
    return worst ? { hint: `The oldest is ${worst.who}.`, command: release(worst) } : none;
  },
  PgVacuumFallingBehind: ({ vacuum = [] }, { datname }) => {
    const worst = vacuum.find(({ database }) => database === datname);
    if (!worst) return none;
    const table = `${quoteIdentifier(worst.schema)}.${quoteIdentifier(worst.table)}`;
    return {
      hint: worst.autovacuumEnabled
        ? `${table} has ${worst.deadRows} dead rows, autovacuum should begin at ${worst.triggerRows}.`
        : `Autovacuum is turned off for ${table}, which has ${worst.deadRows} dead rows.`,
      command: worst.autovacuumEnabled
        ? `vacuum (analyze) ${table};`
        : `alter table ${table} reset (autovacuum_enabled); vacuum (analyze) ${table};`,
    };
  },
  PgSequenceNearlyFull: ({ sequences = [] }, { datname }) => {
    const worst = sequences.find(({ database }) => database === datname);
    if (!worst) return none;
    return {
      hint:
        `Sequence ${worst.schema}.${worst.sequence}${worst.column ? `, which feeds ${worst.column},` : ""} ` +
        `has used ${(worst.usedRatio * 100).toFixed(1)} %; make the column a bigint while there is time.`,
    };
  },
  PgInvalidIndex: ({ catalog }, { datname }) => {
    const worst = catalog?.invalidIndexes.find(({ database }) => database === datname);
    if (!worst) return none;
    return { command: `reindex index concurrently ${quoteIdentifier(worst.schema)}.${quoteIdentifier(worst.name)};` };
  },
  CollectorFailing: ({ identity }) =>
    identity && !identity.canMonitor ? { command: `grant pg_monitor to ${quoteIdentifier(identity.role)};` } : none,
};

function blockedBy({ blocking = [] }: Facts): Advice {
  const root = rootOf(blocking);
  if (!root) return none;
  const victims = blocking.filter(({ blockedBy: by }) => by.length > 0).length;
  return {
    hint: `${nameOf(root)} holds up ${victims} ${victims === 1 ? "session" : "sessions"}.`,
    command: root.state.startsWith("idle in transaction") ? terminate(root) : cancel(root),
  };
}

/** The session that, directly or not, holds up the most others and waits for none. */
export function rootOf(blocking: readonly BlockingFact[]): BlockingFact | undefined {
  const heldUp = (pid: number, seen: Set<number>): number => {
    let count = 0;
    for (const session of blocking) {
      if (seen.has(session.pid) || !session.blockedBy.includes(pid)) continue;
      seen.add(session.pid);
      count += 1 + heldUp(session.pid, seen);
    }
    return count;
  };
  return longest(
    blocking.filter(({ blockedBy: by }) => by.length === 0),
    ({ pid }) => heldUp(pid, new Set([pid])),
  );
}

function longest<T>(items: readonly T[], measure: (item: T) => number | null): T | undefined {
  return items.toSorted((a, b) => (measure(b) ?? -1) - (measure(a) ?? -1))[0];
}

function nameOf({ pid, user, application, transactionSeconds }: SessionFact): string {
  const age =
    transactionSeconds === null ? "" : `, in its transaction for ${formatDuration(transactionSeconds * 1000)}`;
  return `Session ${pid} (${application || user || "unnamed"}${age})`;
}

// The start time goes with the pid: by the time the command is run, the number may belong to somebody else.
const only = ({ pid, backendStart }: SessionFact, act: string): string =>
  `select ${act}(pid) from pg_stat_activity where pid = ${pid} and backend_start = ${quoteLiteral(backendStart)};`;

const cancel = (session: SessionFact): string => only(session, "pg_cancel_backend");
const terminate = (session: SessionFact): string => only(session, "pg_terminate_backend");

function release({ holder, who }: XminHolder): string {
  if (holder === "slot") return `select pg_drop_replication_slot(${quoteLiteral(who)});`;
  if (holder === "prepared") return `rollback prepared ${quoteLiteral(who)};`;
  if (holder === "standby") return "select application_name, backend_xmin from pg_stat_replication;";
  return `select pg_terminate_backend(${Number(who)});`;
}
