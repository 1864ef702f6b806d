import { type Database, type DatabaseLike, type Queryable, quoteQualified, toDatabase } from "@db/core";
import { watchBuild } from "./build-watch.ts";
import { applyError } from "./build-error.ts";
import { createIndexSql, dropIndexSql, type IndexDefinition, indexName } from "./definition.ts";
import { IndexBusyError, IndexReadOnlyError, InvalidIndexError } from "./errors.ts";
import { findIndex, refuseOther } from "./existing-index.ts";
import { retryLocked, waitForWriters } from "./locked.ts";
import { type ApplyOptions, type ResolvedApplyOptions, resolveApplyOptions } from "./options.ts";
import { type PartitionStep, planPartitioned, readPartitions } from "./partition.ts";
import { extensionStatements } from "./plan.ts";

/** What making or dropping an index came to. Plain data. */
export interface ApplyResult {
  readonly schema: string;
  readonly index: string;
  /** `present`: it was there already, as wanted. `absent`: there was nothing to drop. `planned`: a dry run. */
  readonly outcome: "created" | "present" | "dropped" | "absent" | "planned";
  /** The statements that ran, or would run. */
  readonly statements: readonly string[];
  /** Names the index goes by in plans: its own, or those in the partitions. */
  readonly names: readonly string[];
  /** Builds started, counting those that lost the wait for the lock. */
  readonly attempts: number;
  /** Size of the index; null when it was not made. */
  readonly bytes: number | null;
  readonly durationMs: number;
}

/** Whatever carries a definition: a recommendation, an index of a pack. */
export interface Applicable {
  readonly definition: IndexDefinition;
}

// One build at a time for this database: two on one table would wait for each other. The number is this package's own.
const lockKey = 7_201_913_466_021_377;

/**
 * Makes an index while reads and writes go on. Waits at most `lockTimeoutMs` for those that write to the table, then
 * tries again; what a failed build leaves is dropped, now or by the next call; called once more it finds the index and
 * does nothing. On a partitioned table it makes one per partition and joins them. Must not run in a transaction.
 * @throws {IndexReadOnlyError} {IndexNameTakenError} {IndexLockTimeoutError} {IndexBusyError} {IndexApplyError}
 * @throws {AbortedError} when `signal` fires; the build is cancelled and its rest dropped
 */
export async function applyRecommendation(
  db: DatabaseLike,
  { definition }: Applicable,
  options: ApplyOptions = {},
): Promise<ApplyResult> {
  const resolved = resolveApplyOptions(options);
  const { clock, dryRun, logger } = resolved;
  const started = clock.now();
  const schema = definition.schema ?? "public";
  const named = { ...definition, schema, name: indexName(definition) };
  if (named.keys.length === 0) {
    throw new InvalidIndexError(`index ${named.name} has no keys`, { hint: "Name a column." });
  }
  return withIndexLock(toDatabase(db), async (session) => {
    if (!dryRun) await refuseReadOnly(session);
    const steps = await planSteps(session, named);
    const leaves = steps.filter((step) => step.concurrent).map((step) => step.name);
    const base = { schema, index: named.name, names: leaves, attempts: 0, bytes: null };
    const elapsed = (): number => clock.now() - started;
    const found = await findIndex(session, schema, named.name);
    if (found?.valid === true) {
      refuseOther(found, named);
      return { ...base, outcome: "present", statements: [], bytes: found.bytes, durationMs: elapsed() };
    }
    const prepare = extensionStatements(named);
    if (dryRun) {
      const statements = [...prepare, ...steps.flatMap(({ create, attach }) => (attach ? [create, attach] : [create]))];
      return { ...base, outcome: "planned", statements, durationMs: elapsed() };
    }
    const statements: string[] = [];
    const run = async (sql: string): Promise<void> => {
      statements.push(sql);
      await session.query(sql);
    };
    for (const sql of prepare) await run(sql).catch((error: unknown) => Promise.reject(applyError(named.name, error)));
    let attempts = 0;
    for (const step of steps) attempts += await makeStep(db, session, step, run, resolved);
    if (named.keys.some((key) => key.expression !== undefined)) {
      await run(`analyze ${quoteQualified(schema, named.table)}`);
    }
    let bytes = 0;
    for (const step of steps) bytes += (await findIndex(session, step.schema, step.name))?.bytes ?? 0;
    logger.info({ schema, index: named.name, attempts, bytes }, "index made");
    return { ...base, outcome: "created", statements, attempts, bytes, durationMs: elapsed() };
  });
}

/**
 * Drops an index while reads and writes go on, with the same waits and retries. An index behind a constraint is
 * refused by the server. The index of a partitioned table cannot be dropped concurrently: it locks the table shortly.
 * @throws {IndexReadOnlyError} {IndexLockTimeoutError} {IndexBusyError} {IndexApplyError}
 */
export async function dropIndex(
  db: DatabaseLike,
  index: { readonly schema: string; readonly name: string },
  options: ApplyOptions = {},
): Promise<ApplyResult> {
  const resolved = resolveApplyOptions(options);
  const started = resolved.clock.now();
  return withIndexLock(toDatabase(db), async (session) => {
    const base = { schema: index.schema, index: index.name, names: [index.name], attempts: 0, bytes: null };
    const elapsed = (): number => resolved.clock.now() - started;
    const found = await findIndex(session, index.schema, index.name);
    if (found === undefined) return { ...base, outcome: "absent", statements: [], durationMs: elapsed() };
    const sql = dropIndexSql(index, { concurrently: !found.partitioned });
    if (resolved.dryRun) return { ...base, outcome: "planned", statements: [sql], durationMs: elapsed() };
    await refuseReadOnly(session);
    const attempts = await retryLocked(session, index.name, resolved, nothing, async () => {
      await session.query(sql);
    });
    resolved.logger.info({ schema: index.schema, index: index.name }, "index dropped");
    return { ...base, outcome: "dropped", statements: [sql], attempts, durationMs: elapsed() };
  });
}

const nothing = async (): Promise<void> => undefined;

async function planSteps(
  session: Queryable,
  definition: IndexDefinition & { readonly schema: string; readonly name: string },
): Promise<readonly PartitionStep[]> {
  const { schema, table, name } = definition;
  const { rows } = await session.query<{ kind: string }>(
    `select c.relkind::text as kind from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'm')`,
    [schema, table],
  );
  if (rows[0] === undefined) {
    throw new InvalidIndexError(`there is no table ${schema}.${table}`, { hint: "Name a table that exists." });
  }
  if (rows[0].kind === "p") return planPartitioned(definition, await readPartitions(session, schema, table));
  const create = createIndexSql(definition, { concurrently: true });
  return [{ schema, table, name, create, concurrent: true, attach: null }];
}

async function makeStep(
  db: DatabaseLike,
  session: Queryable,
  step: PartitionStep,
  run: (sql: string) => Promise<void>,
  options: ResolvedApplyOptions,
): Promise<number> {
  const found = await findIndex(session, step.schema, step.name);
  // The top of a partitioned index stays invalid until its last part is attached: that is no leftover.
  const made = found !== undefined && (found.valid || found.partitioned);
  let attempts = 0;
  if (!made) {
    attempts = step.concurrent
      ? await buildConcurrently(db, session, step, run, options)
      : await retryLocked(session, step.name, options, nothing, () => run(step.create));
  }
  const attach = step.attach;
  if (attach !== null) await retryLocked(session, step.name, options, nothing, () => run(attach));
  return attempts;
}

async function buildConcurrently(
  db: DatabaseLike,
  session: Queryable,
  step: PartitionStep,
  run: (sql: string) => Promise<void>,
  options: ResolvedApplyOptions,
): Promise<number> {
  const backend = (await session.query<{ pid: number }>("select pg_catalog.pg_backend_pid() as pid")).rows[0]!.pid;
  const clear = async (): Promise<void> => {
    const found = await findIndex(session, step.schema, step.name);
    if (found !== undefined && !found.valid) await run(dropIndexSql(step));
  };
  return retryLocked(session, step.name, options, clear, async () => {
    await clear();
    await waitForWriters(session, step, options);
    const watch = watchBuild(db, backend, options.onProgress, options.signal);
    try {
      await run(step.create);
    } finally {
      await watch.stop();
    }
  });
}

async function withIndexLock(
  database: Database,
  use: (session: Queryable) => Promise<ApplyResult>,
): Promise<ApplyResult> {
  return database.withSession(async (session) => {
    const lock = await session.query<{ held: boolean }>("select pg_catalog.pg_try_advisory_lock($1::bigint) as held", [
      String(lockKey),
    ]);
    if (lock.rows[0]?.held !== true) {
      throw new IndexBusyError("another index is being made or dropped in this database", {
        hint: "Wait for it to end, then try again.",
      });
    }
    try {
      return await use(session);
    } finally {
      // A session that is gone took its lock with it.
      await session.query("select pg_catalog.pg_advisory_unlock($1::bigint)", [String(lockKey)]).catch(() => undefined);
    }
  });
}

async function refuseReadOnly(session: Queryable): Promise<void> {
  const { rows } = await session.query<{ standby: boolean; readonly: boolean }>(
    `select pg_catalog.pg_is_in_recovery() as standby,
            pg_catalog.current_setting('transaction_read_only') = 'on' as readonly`,
  );
  if (rows[0]?.standby !== true && rows[0]?.readonly !== true) return;
  throw new IndexReadOnlyError(rows[0].standby ? "the server is a standby" : "the session only reads", {
    hint: "Connect to the primary, with a role that may write.",
  });
}
