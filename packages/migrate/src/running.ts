import {
  AbortedError,
  type DatabaseLike,
  isConnectionError,
  isDbError,
  type Queryable,
  sqlStateOf,
  toDatabase,
} from "@db/core";
import { batchableCount, hasSameLimits, runBatched, withSessionLimits } from "./batched-run.ts";
import { collectCatalog, fingerprintCatalog } from "./catalog.ts";
import { MigrationFailedError, StalePlanError } from "./errors.ts";
import { readMigrationFolder } from "./folder.ts";
import { History } from "./history.ts";
import type { ResolvedApplyOptions } from "./options.ts";
import type { AdoptedMigration, MigrationPlan, PlannedMigration } from "./plan.ts";
import { withMigrationLock } from "./migration-lock.ts";
import { JournalQueue } from "./journal-queue.ts";
import { type Reconciliation, reconcile } from "./reconciliation.ts";
import { rehearse } from "./rehearsal.ts";
import type { MigrationFailure, MigrationReport, MigrationRun } from "./report.ts";
import type { ReportBuilder } from "./report-builder.ts";
import { historyRecord, type RunContext } from "./run-context.ts";
import { readServer, requireWritable } from "./server.ts";
import { CommitUnknownError, withPreparedHistory } from "./scripted-run.ts";
import { writeSnapshot } from "./snapshot.ts";
import { serverMessage, StatementError } from "./statement-run.ts";
import { runStepwise } from "./stepwise-run.ts";
import { hasMoreSessions, noWatcher, watchProcess } from "./statement-watch.ts";
import { toolVersion } from "./tool-version.ts";
import { runTransactional } from "./transactional-run.ts";

/** Applies what of a plan is still due. */
export async function runPlan(
  db: DatabaseLike,
  plan: MigrationPlan,
  resolved: ResolvedApplyOptions,
  report: ReportBuilder,
): Promise<MigrationReport> {
  if (resolved.checkFiles && plan.direction !== "down") await refuseChangedFiles(plan);
  return toDatabase(db).withSession(async (given) => {
    const server = await readServer(given);
    requireWritable(server);
    const history = new History(plan.history);
    const { clock, signal, onEvent, advisoryLockTimeoutMs: timeoutMs } = resolved;
    return withMigrationLock(given, history, { timeoutMs, clock, signal, onEvent }, async (lock) => {
      const { session, pid } = lock;
      report.lockWaitMs = lock.waitedMs;
      const now = (await history.read(session)) ?? [];
      const due = reconcile(plan, now);
      const entries = new Map(now.map((entry) => [entry.id, entry]));
      const context: RunContext = {
        session,
        history,
        plan,
        options: resolved,
        runId: report.runId,
        entries,
        fence: lock.fence,
        leased: lock.leased,
        scripts: lock.scripts,
        watcher:
          pid === null || !hasMoreSessions(db)
            ? noWatcher
            : watchProcess(toDatabase(db), { pid, version: server.version }, resolved),
        journal: new JournalQueue(session, history),
        prepared: { name: null },
        sequence: { next: Math.max(0, ...now.map((entry) => entry.sequence)) + due.adopt.length + 1 },
      };
      report.skipped = due.skipped;
      if (due.migrations.length === 0 && due.adopt.length === 0) return report.finish();
      if (resolved.checkCatalog && due.unchanged) await refuseChangedCatalog(session, plan);
      if (resolved.execute === "rollback") return rehearseDue(context, due, report);
      await resolved.beforeApply(plan);
      await history.ensure(session);
      await adoptAll(context, due.adopt);
      report.adopted = due.adopt.map((migration) => migration.id);
      await withPreparedHistory(context, due.migrations, () => runAll(context, due.migrations, report));
      return report.finish();
    });
  });
}

async function rehearseDue(context: RunContext, due: Reconciliation, report: ReportBuilder): Promise<MigrationReport> {
  try {
    const { runs, remaining } = await rehearse(context, due.migrations);
    report.applied.push(...runs);
    report.remaining = remaining;
    return report.finish();
  } catch (error) {
    const failed =
      due.migrations.find((one) => error instanceof StatementError && owns(one, error)) ?? due.migrations[0];
    throw failed && error instanceof StatementError ? failure(failed, error, report, [], false) : error;
  }
}

async function runAll(
  context: RunContext,
  migrations: readonly PlannedMigration[],
  report: ReportBuilder,
): Promise<void> {
  const { options } = context;
  const total = migrations.length;
  const finished = (run: MigrationRun): void => {
    report.applied.push(run);
    options.onEvent({ type: "migration-finished", migration: run.id, durationMs: run.durationMs });
    options.metrics.count("db_migrate_applied_total", { direction: context.plan.direction });
    options.metrics.observe("db_migrate_duration_seconds", run.durationMs / 1_000);
    options.logger.info({ migration: run.id, durationMs: run.durationMs }, `migrated ${context.plan.direction}`);
  };
  for (let position = 0; position < total;) {
    const migration = migrations[position] as PlannedMigration;
    options.onProgress({ phase: "migrate", current: position, total, unit: "steps", message: migration.id });
    try {
      if (options.signal.aborted) throw new AbortedError("the migration was aborted", { cause: options.signal.reason });
      const batched = await runBatches(context, migrations.slice(position), finished);
      position += batched.done;
      if (batched.done > 0 && !batched.failed) continue;
      const one = migrations[position] as PlannedMigration;
      if (isStepwise(context, one)) await context.journal.flush();
      finished(await (isStepwise(context, one) ? runStepwise(context, one) : runTransactional(context, one)));
      position++;
    } catch (error) {
      const one = migrations[report.applied.length] ?? migration;
      await context.journal.flush().catch(() => undefined);
      await recordFailure(context, one, error);
      throw failure(one, error, report, migrations.slice(report.applied.length + 1), isStepwise(context, one));
    }
  }
  await context.journal.flush();
  options.onProgress({ phase: "migrate", current: total, total, unit: "steps" });
  if (report.applied.length > 0 || report.adopted.length > 0) await keepSnapshot(context, report);
}

/** What drift is told from: the catalog as this run leaves it. */
async function keepSnapshot({ session, history, plan }: RunContext, report: ReportBuilder): Promise<void> {
  const catalog = await collectCatalog(session, history.schema);
  const last = report.applied.at(-1);
  if (last && plan.direction === "up") {
    report.catalogFingerprint = fingerprintCatalog(catalog);
    await history.setFingerprint(session, last.id, report.catalogFingerprint);
  }
  await writeSnapshot(session, history, { migration: await history.newest(session), catalog });
}

/** Runs the small ones at the head of the row many a round trip, until one fails or is none. */
async function runBatches(
  context: RunContext,
  migrations: readonly PlannedMigration[],
  finished: (run: MigrationRun) => void,
): Promise<{ readonly done: number; readonly failed: boolean }> {
  const { options } = context;
  const [first] = migrations;
  if (!first || batchableCount(context, migrations) === 0) return { done: 0, failed: false };
  return withSessionLimits(context, first, async () => {
    for (let done = 0; ;) {
      const rest = migrations.slice(done);
      const count = hasSameLimits(first, rest[0] ?? first) ? batchableCount(context, rest) : 0;
      if (count === 0) return { done, failed: false };
      if (options.signal.aborted) throw new AbortedError("the migration was aborted", { cause: options.signal.reason });
      const runs = await runBatched(context, rest.slice(0, count));
      runs.forEach(finished);
      done += runs.length;
      if (runs.length < count) return { done, failed: true };
    }
  });
}

/** One begun step by step goes on that way, even if what is left of it could be a transaction. */
function isStepwise({ entries, plan }: RunContext, migration: PlannedMigration): boolean {
  if (!migration.transactional || plan.direction === "down") return !migration.transactional;
  const entry = entries.get(migration.id);
  return entry !== undefined && !entry.transactional && (entry.state === "running" || entry.state === "failed");
}

async function adoptAll(
  { session, history, options, runId }: RunContext,
  adopted: readonly AdoptedMigration[],
): Promise<void> {
  if (adopted.length === 0) return;
  await session.query("begin");
  try {
    for (const { appliedAt, ...facts } of adopted) {
      await history.write(session, {
        ...facts,
        state: "applied",
        transactional: true,
        statementsDone: facts.statements,
        startedAt: appliedAt,
        finishedAt: appliedAt,
        durationMs: null,
        appliedBy: options.appliedBy,
        runId,
        toolVersion,
        error: null,
        catalogFingerprint: null,
      });
    }
    await session.query("commit");
  } catch (error) {
    await session.query("rollback").catch(() => undefined);
    throw error;
  }
}

/** Leaves the truth in the history, as far as the connection still allows. */
async function recordFailure(context: RunContext, migration: PlannedMigration, error: unknown): Promise<void> {
  const { session, history, options, plan } = context;
  const message = messageOfFailure(error);
  options.onEvent({ type: "migration-failed", migration: migration.id, message });
  options.metrics.count("db_migrate_failed_total", { direction: plan.direction });
  options.logger.error({ migration: migration.id, sqlState: stateOf(error) }, "migration failed");
  // What was applied stays recorded as applied when its undoing fails; the lost COMMIT is for the history to answer.
  if (plan.direction === "down" || error instanceof CommitUnknownError || isDbError(error)) return;
  const done = !isStepwise(context, migration)
    ? 0
    : (await history.readJournal(session, migration.id, "up").catch(() => [])).filter((one) => one.state === "done")
        .length;
  const startedAt = new Date(options.clock.now()).toISOString();
  const record = historyRecord(context, migration, "failed", { done, startedAt, durationMs: null, error: message });
  await history.write(session, record).catch(() => undefined);
}

function failure(
  migration: PlannedMigration,
  error: unknown,
  report: ReportBuilder,
  after: readonly PlannedMigration[],
  stepwise: boolean,
): Error {
  // A decision for the caller, a stale history, an abort: those say themselves what they are.
  if (isDbError(error)) return error;
  const at = error instanceof StatementError ? error : null;
  const failed: MigrationFailure = {
    id: migration.id,
    file: at?.statement.file ?? migration.file,
    line: at?.statement.line ?? null,
    statement: at?.index ?? null,
    sqlState: stateOf(error) ?? null,
    message: messageOfFailure(error),
    outcome: error instanceof CommitUnknownError ? "unknown" : stepwise ? "partial" : "rolled-back",
  };
  report.failed = failed;
  report.remaining = after.map((one) => one.id);
  const place = at ? `${failed.file}:${at.statement.line}: ${at.statement.kind}` : failed.file;
  const sqlState = failed.sqlState === null ? "" : ` [${failed.sqlState}]`;
  return new MigrationFailedError(`${place} failed: ${failed.message}${sqlState}`, report.finish(), {
    cause: at ? at.cause : error,
    // Commits wait for the disk once a run: a server that crashed may have lost the newest of them, whole.
    hint: isConnectionError(at ? at.cause : error) ? hints.unknown : hints[failed.outcome],
  });
}

const hints: Readonly<Record<MigrationFailure["outcome"], string>> = {
  "rolled-back": "Nothing of this migration stays; correct it and apply again.",
  partial: "What ran before the failure stays; correct what is left and apply again: it goes on from there.",
  unknown: "Ask for the status: the history knows what was committed.",
};

function messageOfFailure(error: unknown): string {
  return error instanceof StatementError ? error.message : serverMessage(error);
}

function stateOf(error: unknown): string | undefined {
  return sqlStateOf(error instanceof StatementError ? error.cause : error);
}

function owns(migration: PlannedMigration, error: StatementError): boolean {
  return migration.statements.includes(error.statement) || migration.verify.includes(error.statement);
}

async function refuseChangedFiles(plan: MigrationPlan): Promise<void> {
  const folder = await readMigrationFolder(plan.directory);
  const files = new Map(folder.migrations.map((file) => [file.id, file]));
  const changes: string[] = [];
  for (const { id, checksum } of [...plan.adopt, ...plan.migrations]) {
    const file = files.get(id);
    if (!file) changes.push(`${id} is no longer in ${plan.directory}`);
    else if (file.checksum !== checksum) changes.push(`${file.file} was edited since the plan was made`);
  }
  if (changes.length > 0) throw new StalePlanError(changes);
}

async function refuseChangedCatalog(session: Queryable, plan: MigrationPlan): Promise<void> {
  if (plan.catalogFingerprint === null) return;
  const now = fingerprintCatalog(await collectCatalog(session, plan.history.schema));
  if (now !== plan.catalogFingerprint) throw new StalePlanError(["the catalog is not the one the plan was made for"]);
}
