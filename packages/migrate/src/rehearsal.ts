import type { Queryable } from "@db/core";
import type { PlannedMigration } from "./plan.ts";
import type { MigrationRun, StatementReport } from "./report.ts";
import type { RunContext } from "./run-context.ts";
import { readSettings, timeoutSettings, writeSettings } from "./session-settings.ts";
import { round, runStatement, runVerify } from "./statement-run.ts";
import { type LockMode, strongestLocks, type TableLock } from "./table-lock.ts";

/** What a rolled-back run showed. */
export interface Rehearsal {
  readonly runs: readonly MigrationRun[];
  /** From the first migration that cannot run in a transaction. */
  readonly remaining: readonly string[];
}

const locksSql = /* sql */ `
  select n.nspname || '.' || c.relname as relation, l.mode
    from pg_catalog.pg_locks l
    join pg_catalog.pg_class c on c.oid = l.relation
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where l.pid = pg_backend_pid() and l.granted and c.relkind in ('r', 'p', 'm', 'v', 'f')
     and n.nspname <> 'information_schema' and n.nspname !~ '^pg_' and c.oid <= $1::oid
   order by 1`;

/**
 * Runs migrations in one transaction that is rolled back, and reads after each statement which locks on tables that
 * were there before it has added. Sequences do not roll back, and the locks are held as long as it takes.
 */
export async function rehearse(context: RunContext, migrations: readonly PlannedMigration[]): Promise<Rehearsal> {
  const { session } = context;
  const runs: MigrationRun[] = [];
  const stop = migrations.findIndex((migration) => !migration.transactional);
  const runnable = stop === -1 ? migrations : migrations.slice(0, stop);
  const { rows } = await session.query<{ newest: string }>(
    "select max(oid)::text as newest from pg_catalog.pg_class where relkind in ('r', 'p', 'm', 'v', 'f')",
  );
  const newest = rows[0]?.newest ?? "0";
  let held: ReadonlyMap<string, LockMode> = new Map();
  await session.query("begin");
  try {
    for (const migration of runnable) {
      const { lockTimeoutMs, statementTimeoutMs, settings, localSettings = [] } = migration;
      const before = await readSettings(session, [...settings, ...localSettings]);
      await writeSettings(session, timeoutSettings(lockTimeoutMs, statementTimeoutMs), "transaction");
      const began = performance.now();
      const statements: StatementReport[] = [];
      for (const [index, statement] of migration.statements.entries()) {
        // It has to be the first of its transaction, and takes no locks.
        if (/^set\s+transaction\b/i.test(statement.sql)) continue;
        const report = await runStatement(context, statement, index);
        const now = await readLocks(session, newest);
        statements.push({ ...report, locks: strengthened(held, now) });
        held = now;
      }
      await runVerify(session, migration.verify);
      await writeSettings(session, before, "transaction");
      const durationMs = round(performance.now() - began);
      runs.push({
        id: migration.id,
        transactional: true,
        durationMs,
        attempts: 1,
        resumedAt: 0,
        phase: null,
        statements,
      });
    }
  } finally {
    await session.query("rollback").catch(() => undefined);
  }
  return { runs, remaining: migrations.slice(runnable.length).map((migration) => migration.id) };
}

async function readLocks(session: Queryable, newest: string): Promise<ReadonlyMap<string, LockMode>> {
  const { rows } = await session.query<{ relation: string; mode: string }>(locksSql, [newest]);
  return strongestLocks(rows);
}

function strengthened(before: ReadonlyMap<string, LockMode>, after: ReadonlyMap<string, LockMode>): TableLock[] {
  return [...after]
    .filter(([relation, mode]) => before.get(relation) !== mode)
    .map(([relation, mode]) => ({ relation, mode }));
}
