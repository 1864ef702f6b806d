import {
  AbortedError,
  type Database,
  type DatabaseLike,
  messageOf,
  type Queryable,
  quoteQualified,
  sqlStateOf,
  toDatabase,
} from "@db/core";
import { watchBuild } from "./build-watch.ts";
import { dropIndexSql, type IndexDefinition } from "./definition.ts";
import {
  IndexApplyError,
  IndexBusyError,
  IndexLockTimeoutError,
  IndexNameTakenError,
  IndexReadOnlyError,
  InvalidIndexError,
} from "./errors.ts";
import { type ApplyOptions, type ResolvedApplyOptions, resolveApplyOptions } from "./options.ts";
import { describeIndex } from "./plan.ts";

/** What making or dropping an index came to. Plain data. */
export interface ApplyResult {
  readonly schema: string;
  readonly index: string;
  /** `present`: it was there already, as wanted. `absent`: there was nothing to drop. */
  readonly outcome: "created" | "present" | "dropped" | "absent" | "planned";
  /** The statements that ran, or would run. */
  readonly statements: readonly string[];
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
 * does nothing. Must not run in a transaction.
 * @throws {IndexReadOnlyError} {IndexNameTakenError} {IndexLockTimeoutError} {IndexBusyError} {IndexApplyError}
 * @throws {AbortedError} when `signal` fires; the build is cancelled and its rest dropped
 */
export async function applyRecommendation(
  db: DatabaseLike,
  { definition }: Applicable,
  options: ApplyOptions = {},
): Promise<ApplyResult> {
  const resolved = resolveApplyOptions(options);
  const { clock } = resolved;
  const started = clock.now();
  const { definition: named, ddl, id } = describeIndex(definition);
  const schema = named.schema ?? "public";
  if (named.keys.length === 0) throw new InvalidIndexError(`index ${id} has no keys`, { hint: "Name a column." });
  const result = (outcome: ApplyResult["outcome"], statements: readonly string[], attempts: number): ApplyResult => ({
    schema,
    index: id,
    outcome,
    statements,
    attempts,
    bytes: null,
    durationMs: clock.now() - started,
  });
  if (resolved.dryRun) return result("planned", ddl, 0);
  return withIndexLock(toDatabase(db), async (session) => {
    const statements: string[] = [];
    const run = async (sql: string): Promise<void> => {
      statements.push(sql);
      await session.query(sql);
    };
    await refuseReadOnly(session);
    await refusePartitioned(session, schema, named.table);
    const found = await findIndex(session, schema, id);
    if (found?.valid === true) {
      refuseOther(found, named);
      return { ...result("present", [], 0), bytes: found.bytes };
    }
    for (const sql of ddl.slice(0, -1)) await runOnce(run, sql, id);
    const attempts = await build(
      db,
      session,
      { schema, table: named.table, name: id, sql: ddl.at(-1)! },
      run,
      resolved,
    );
    if (named.keys.some((key) => key.expression !== undefined)) {
      await run(`analyze ${quoteQualified(schema, named.table)}`);
    }
    const made = await findIndex(session, schema, id);
    resolved.logger.info({ schema, index: id, attempts, bytes: made?.bytes }, "index made");
    return { ...result("created", statements, attempts), bytes: made?.bytes ?? null };
  });
}

/**
 * Drops an index while reads and writes go on, with the same waits and retries. An index behind a constraint is
 * refused by the server.
 * @throws {IndexReadOnlyError} {IndexLockTimeoutError} {IndexBusyError} {IndexApplyError}
 */
export async function dropIndex(
  db: DatabaseLike,
  index: { readonly schema: string; readonly name: string },
  options: ApplyOptions = {},
): Promise<ApplyResult> {
  const resolved = resolveApplyOptions(options);
  const started = resolved.clock.now();
  const sql = dropIndexSql(index);
  const result = (outcome: ApplyResult["outcome"], statements: readonly string[], attempts: number): ApplyResult => ({
    schema: index.schema,
    index: index.name,
    outcome,
    statements,
    attempts,
    bytes: null,
    durationMs: resolved.clock.now() - started,
  });
  if (resolved.dryRun) return result("planned", [sql], 0);
  return withIndexLock(toDatabase(db), async (session) => {
    await refuseReadOnly(session);
    if ((await findIndex(session, index.schema, index.name)) === undefined) return result("absent", [], 0);
    const attempts = await retryLocked(session, index.name, resolved, nothing, async () => {
      await session.query(sql);
    });
    resolved.logger.info({ schema: index.schema, index: index.name }, "index dropped");
    return result("dropped", [sql], attempts);
  });
}

const nothing = async (): Promise<void> => undefined;

async function withIndexLock<T>(database: Database, use: (session: Queryable) => Promise<T>): Promise<T> {
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

async function build(
  db: DatabaseLike,
  session: Queryable,
  index: { readonly schema: string; readonly table: string; readonly name: string; readonly sql: string },
  run: (sql: string) => Promise<void>,
  options: ResolvedApplyOptions,
): Promise<number> {
  const backend = (await session.query<{ pid: number }>("select pg_catalog.pg_backend_pid() as pid")).rows[0]!.pid;
  const clear = (): Promise<void> => dropLeftover(session, index.schema, index.name, run);
  return retryLocked(session, index.name, options, clear, async () => {
    await clear();
    await waitForWriters(session, index, options);
    const watch = watchBuild(db, backend, options.onProgress, options.signal);
    try {
      await run(index.sql);
    } finally {
      await watch.stop();
    }
  });
}

/** The wait for others was lost; nothing was begun. Carries the code the server gives for the same. */
class LostWait extends Error {
  readonly code = "55P03";
}

const writersSql = /* sql */ `
  select coalesce(array_agg(distinct l.virtualtransaction), '{}') as writers
    from pg_catalog.pg_locks l
   where l.locktype = 'relation' and l.granted and l.pid <> pg_catalog.pg_backend_pid()
     and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
     and l.relation = $1::regclass
     and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`;

// A concurrent build waits for the writers it finds, and when it gives up it leaves an invalid index that cannot be
// dropped while they go on. So the wait comes before the build: for those there now, not for those that come after.
async function waitForWriters(
  session: Queryable,
  { schema, table }: { readonly schema: string; readonly table: string },
  { lockTimeoutMs, clock, signal }: ResolvedApplyOptions,
): Promise<void> {
  const pauseMs = Math.max(1, Math.min(100, lockTimeoutMs / 4));
  let waitedFor: readonly string[] | undefined;
  for (let waitedMs = 0; ; waitedMs += pauseMs) {
    const { rows } = await session.query<{ writers: string[] }>(writersSql, [quoteQualified(schema, table)]);
    const now = rows[0]?.writers ?? [];
    waitedFor = (waitedFor ?? now).filter((writer) => now.includes(writer));
    if (waitedFor.length === 0) return;
    if (waitedMs >= lockTimeoutMs) throw new LostWait(`${waitedFor.length} transaction(s) keep writing to the table`);
    await clock.sleep(pauseMs, signal);
  }
}

/** Runs a statement that waits for a lock, again while the wait is lost; `clear` removes what each failure left. */
async function retryLocked(
  session: Queryable,
  name: string,
  { attempts, lockTimeoutMs, retryDelayMs, clock, signal, logger }: ResolvedApplyOptions,
  clear: () => Promise<void>,
  work: () => Promise<void>,
): Promise<number> {
  const bound = (ms: number): Promise<unknown> =>
    session.query(`set lock_timeout = ${Math.ceil(Math.min(ms, 2_147_483_647))}`);
  await session.query("set statement_timeout = 0");
  try {
    for (let attempt = 1; ; attempt += 1) {
      if (signal?.aborted) throw aborted(signal);
      await bound(lockTimeoutMs);
      try {
        await work();
        return attempt;
      } catch (error) {
        // Whoever gives up does not want to wait long for the clearing either.
        await bound(Math.min(lockTimeoutMs, 2_000));
        const left = await clear().then(
          () => "",
          () => `; the invalid index ${name} is left, and the next call replaces it`,
        );
        if (signal?.aborted) throw aborted(signal, left);
        const state = sqlStateOf(error);
        // 40P01: a concurrent build and another lock waited for each other; the server chose this one.
        if (state !== "55P03" && state !== "40P01") throw applyError(name, error, left);
        if (attempt >= attempts) {
          throw new IndexLockTimeoutError(`index ${name}: the table stayed locked in ${attempt} attempts${left}`, {
            cause: error,
            hint: "Find the long transaction that holds the table, end it, and try again.",
          });
        }
        logger.warn({ index: name, attempt }, "the table is locked; trying again");
        await clock.sleep(retryDelayMs * 2 ** (attempt - 1), signal);
      }
    }
  } finally {
    await session.query("reset lock_timeout").catch(() => undefined);
    await session.query("reset statement_timeout").catch(() => undefined);
  }
}

const findSql = /* sql */ `
  select i.indisvalid and i.indisready as valid, i.indisunique as unique, i.indpred is not null as partial,
         pg_catalog.pg_relation_size(i.indexrelid)::float8 as bytes, am.amname as method, t.relname as table,
         array(select case when i.indkey[g.k] <> 0
                           then (select a.attname::text from pg_catalog.pg_attribute a
                                  where a.attrelid = i.indrelid and a.attnum = i.indkey[g.k]) end
                 from generate_series(0, i.indnkeyatts - 1) g (k)) as columns
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_class t on t.oid = i.indrelid
    join pg_catalog.pg_am am on am.oid = c.relam
   where n.nspname = $1 and c.relname = $2`;

interface FoundIndex {
  readonly valid: boolean;
  readonly unique: boolean;
  readonly partial: boolean;
  readonly bytes: number;
  readonly method: string;
  readonly table: string;
  /** Null where the key is an expression. */
  readonly columns: readonly (string | null)[];
}

async function findIndex(session: Queryable, schema: string, name: string): Promise<FoundIndex | undefined> {
  return (await session.query<FoundIndex>(findSql, [schema, name])).rows[0];
}

async function dropLeftover(
  session: Queryable,
  schema: string,
  name: string,
  run: (sql: string) => Promise<void>,
): Promise<void> {
  const found = await findIndex(session, schema, name);
  if (found === undefined || found.valid) return;
  await run(dropIndexSql({ schema, name }));
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

async function refusePartitioned(session: Queryable, schema: string, table: string): Promise<void> {
  const { rows } = await session.query<{ kind: string }>(
    `select c.relkind::text as kind from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2`,
    [schema, table],
  );
  if (rows[0] === undefined) {
    throw new InvalidIndexError(`there is no table ${schema}.${table}`, { hint: "Name a table that exists." });
  }
  if (rows[0].kind !== "p") return;
  throw new IndexApplyError(`${schema}.${table} is partitioned, and no index on it can be made concurrently`, {
    hint: "Make the index concurrently on each partition, then on the parent with ON ONLY, and attach them.",
  });
}

function refuseOther(found: FoundIndex, definition: IndexDefinition): void {
  const describe = (index: Omit<FoundIndex, "valid" | "bytes">): string =>
    JSON.stringify([index.table, index.method, index.unique, index.partial, index.columns]);
  const wanted = {
    table: definition.table,
    method: definition.method ?? "btree",
    unique: definition.unique === true,
    partial: definition.where !== undefined,
    columns: definition.keys.map((key) => key.column ?? null),
  };
  if (describe(found) === describe(wanted)) return;
  throw new IndexNameTakenError(`index ${definition.name} is there already and is another one`, {
    hint: "Give the new index another name, or drop the old one.",
  });
}

async function runOnce(run: (sql: string) => Promise<void>, sql: string, name: string): Promise<void> {
  try {
    await run(sql);
  } catch (error) {
    throw applyError(name, error);
  }
}

function applyError(name: string, error: unknown, left: string = ""): IndexApplyError {
  const state = sqlStateOf(error);
  const hints: Readonly<Record<string, string>> = {
    "23505": "The table holds duplicates: remove them, or make the index without unique.",
    "25001": "Call this outside a transaction.",
    "42501": "Use the owner of the table, or a superuser for the extension.",
    "53100": "Free disk space: an index needs its own size, and as much again while it is sorted.",
    "2BP01": "A constraint or another object needs it: drop that instead.",
  };
  return new IndexApplyError(`index ${name}: ${messageOf(error)}${left}`, {
    cause: error,
    hint: hints[state ?? ""] ?? "Read the server's message.",
  });
}

function aborted(signal: AbortSignal, left: string = ""): AbortedError {
  return new AbortedError(`the work on the index was aborted${left}`, { cause: signal.reason });
}
