import { AbortedError, type Queryable, quoteIdentifier, quoteLiteral, quoteQualified } from "@db/core";
import { type BackfillSettings, batchMark } from "./backfill-settings.ts";
import { BackfillError, BackfillPausedError } from "./errors.ts";
import type { History } from "./history.ts";
import type { PlannedMigration, PlannedStatement } from "./plan.ts";
import { ReplicaLag } from "./replica-lag.ts";
import type { StatementReport } from "./report.ts";
import { withLockRetries } from "./retry.ts";
import { journalRecord, type RunContext } from "./run-context.ts";
import { runScript } from "./script.ts";
import { round, rowsOf, serverMessage, StatementError } from "./statement-run.ts";

const fewestRows = 10;
const mostRows = 100_000;
const lagPauseMs = 500;
// Asking a standby's lag is cheap; a bound of less than a second is looked at more often.
const lagEveryMs = 1_000;

/** Where a backfill stands, as its own table keeps it. */
interface Checkpoint {
  /** The last key done, as text; null before the first batch. */
  readonly cursor: readonly string[] | null;
  readonly rows: number;
}

interface Walk {
  /** Quoted and qualified. */
  readonly table: string;
  readonly columns: readonly string[];
  /** `bigint`, for the literals of the key. */
  readonly types: readonly string[];
  readonly estimatedRows: number | null;
}

/**
 * Runs a backfill batch by batch along a unique key. Each batch is a transaction of its own with its checkpoint in it,
 * so that a killed run goes on after the last batch that was committed. Batches are sized to last `batchMs`, which is
 * how long a writer may wait for a row of one.
 * @throws {BackfillError} {@link BackfillPausedError} {@link AbortedError}
 */
export async function runBackfill(
  context: RunContext,
  migration: PlannedMigration,
  statement: PlannedStatement,
  index: number,
): Promise<StatementReport> {
  const { session, history, options } = context;
  const settings = statement.backfill as BackfillSettings;
  const began = performance.now();
  const table = backfillTable(history);
  await session.query(`create table if not exists ${table} ${backfillColumns}`);
  const walk = await planWalk(session, settings);
  const start = await readCheckpoint(session, table, migration.id, index);
  let { cursor, rows } = start;
  let batchRows = settings.batchRows;
  const throttle = replicaThrottle(context, migration, { settings, table, index, walk });
  for (;;) {
    if (options.signal.aborted) throw new AbortedError("the backfill was aborted", { cause: options.signal.reason });
    await throttle(rows);
    const last = await nextKey(session, walk, cursor, batchRows);
    if (last === null) break;
    const batchBegan = performance.now();
    const done = await runBatch(context, migration, statement, { walk, after: cursor, last, table, index });
    const batchMs = performance.now() - batchBegan;
    cursor = last;
    rows += done.rows;
    const batch = { rows, estimatedRows: walk.estimatedRows, batchRows, batchMs: round(batchMs) };
    options.onEvent({ type: "backfill-batch", migration: migration.id, table: settings.table, ...batch });
    options.onProgress({
      phase: "backfill",
      current: rows,
      ...(walk.estimatedRows === null ? {} : { total: Math.max(rows, walk.estimatedRows) }),
      unit: "rows",
      message: settings.table,
    });
    if (done.paused) throw pausedError(settings, rows);
    batchRows = nextBatchRows(batchRows, batchMs, settings.batchMs);
    if (settings.pauseMs > 0) await options.clock.sleep(settings.pauseMs, options.signal);
  }
  const { kind, file, line } = statement;
  const report = {
    index,
    kind,
    file,
    line,
    durationMs: round(performance.now() - began),
    rows,
    waitedMs: null,
    locks: null,
  };
  await session.query("begin");
  await session.query(`update ${table} set state = 'done' where migration_id = $1 and position = $2`, [
    migration.id,
    index,
  ]);
  await history.writeJournal(session, [journalRecord(context, migration, statement, index, { state: "done", report })]);
  await session.query("commit");
  return report;
}

/** Asks the backfills under way to stop after their batch. @returns how many there are */
export async function pauseBackfills(session: Queryable, history: History): Promise<number> {
  const table = backfillTable(history);
  const { rows } = await session.query<{ there: boolean }>("select to_regclass($1) is not null as there", [table]);
  if (!rows[0]?.there) return 0;
  const paused = await session.query(
    `update ${table} set paused = true where state = 'running' returning migration_id`,
  );
  return paused.rows.length;
}

/** Removes the checkpoints of a migration that was taken back. */
export async function forgetBackfills(session: Queryable, history: History, migration: string): Promise<void> {
  const table = backfillTable(history);
  const { rows } = await session.query<{ there: boolean }>("select to_regclass($1) is not null as there", [table]);
  if (rows[0]?.there) await session.query(`delete from ${table} where migration_id = $1`, [migration]);
}

/** Towards a batch of the wanted length, by no more than half or double at a time. Pure. */
export function nextBatchRows(rows: number, tookMs: number, wantedMs: number): number {
  const factor = Math.min(2, Math.max(0.5, wantedMs / Math.max(tookMs, 0.1)));
  return Math.round(Math.min(mostRows, Math.max(fewestRows, rows * factor)));
}

function backfillTable(history: History): string {
  return quoteQualified(history.schema, `${history.table}_backfills`);
}

const backfillColumns = /* sql */ `(
  migration_id text not null,
  position     integer not null,
  state        text not null check (state in ('running', 'done')),
  cursor       jsonb,
  rows         bigint not null default 0,
  batches      bigint not null default 0,
  paused       boolean not null default false,
  started_at   timestamptz not null default clock_timestamp(),
  updated_at   timestamptz not null default clock_timestamp(),
  primary key (migration_id, position)
)`;

async function readCheckpoint(
  session: Queryable,
  table: string,
  migration: string,
  index: number,
): Promise<Checkpoint> {
  const { rows } = await session.query<{ cursor: string[] | null; rows: number }>(
    `insert into ${table} as b (migration_id, position, state) values ($1, $2, 'running')
     on conflict (migration_id, position) do update set paused = false, state = 'running'
     returning b.cursor, b.rows::float8 as rows`,
    [migration, index],
  );
  return rows[0] ?? { cursor: null, rows: 0 };
}

// The key must be the beginning of a unique index: each step of the walk is then one descent of a tree.
const walkSql = /* sql */ `
  select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as table,
         (select array_agg(format_type(a.atttypid, a.atttypmod) order by k.place)
            from unnest($2::text[]) with ordinality k (name, place)
            join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = k.name and not a.attisdropped) as types,
         exists (select from pg_catalog.pg_index i
                  where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null
                    and i.indnkeyatts = cardinality($2::text[])
                    and (select array_agg(a.attname::text order by k.place)
                           from unnest(i.indkey::int2[]) with ordinality k (num, place)
                           join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.num
                          where k.place <= i.indnkeyatts) = $2::text[]) as "isKey",
         nullif(c.reltuples, -1)::float8 as "estimatedRows"
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.oid = to_regclass($1)`;

async function planWalk(session: Queryable, { table, key }: BackfillSettings): Promise<Walk> {
  const { rows } = await session.query<{
    table: string;
    types: string[] | null;
    isKey: boolean;
    estimatedRows: number | null;
  }>(walkSql, [table, key]);
  const [found] = rows;
  if (!found)
    throw new BackfillError(`there is no table ${table} to fill`, { hint: "Correct table= of the backfill." });
  if (!found.isKey || !found.types) {
    throw new BackfillError(`(${key.join(", ")}) is no unique key of ${table}`, {
      hint: "Name the columns of its primary key or of a unique index, in their order, in key=.",
    });
  }
  return { ...found, types: found.types, columns: key.map(quoteIdentifier) };
}

async function nextKey(
  session: Queryable,
  { table, columns, types }: Walk,
  after: readonly string[] | null,
  batchRows: number,
): Promise<readonly string[] | null> {
  const list = columns.join(", ");
  const from = after === null ? "" : ` where (${list}) > (${literals(after, types)})`;
  const texts = columns.map((column) => `${column}::text`).join(", ");
  const { rows } = await session.query<{ key: string[] }>(
    `select array[${texts}] as key from (select ${list} from ${table}${from} order by ${list} limit ${batchRows}) batch
      order by ${columns.map((column) => `batch.${column} desc`).join(", ")} limit 1`,
  );
  return rows[0]?.key ?? null;
}

async function runBatch(
  context: RunContext,
  migration: PlannedMigration,
  statement: PlannedStatement,
  batch: {
    readonly walk: Walk;
    readonly after: readonly string[] | null;
    readonly last: readonly string[];
    readonly table: string;
    readonly index: number;
  },
): Promise<{ readonly rows: number; readonly paused: boolean }> {
  const { session, options } = context;
  const { walk, after, last, table, index } = batch;
  const list = walk.columns.join(", ");
  const lower = after === null ? "" : ` and (${list}) > (${literals(after, walk.types)})`;
  const range = `((${list}) <= (${literals(last, walk.types)})${lower})`;
  const checkpoint = `update ${table} set cursor = ${quoteLiteral(JSON.stringify(last))}::jsonb, batches = batches + 1,
      rows = rows + %rows%, updated_at = clock_timestamp()
    where migration_id = ${quoteLiteral(migration.id)} and position = ${index} returning paused`;
  const { clock, signal } = options;
  const onRetry = (attempt: number, pauseMs: number): void => {
    options.onEvent({ type: "lock-retry", migration: migration.id, attempt, pauseMs });
    options.metrics.count("db_migrate_lock_retries_total");
  };
  return withLockRetries(migration.lockRetries, { clock, signal, onRetry }, async () => {
    // A trigger that keeps old and new columns alike leaves a backfill alone: it asks for this setting.
    const opening = [
      "begin",
      "set local synchronous_commit = off",
      `set local lock_timeout = '${migration.lockTimeoutMs ?? 0}ms'`,
      "set local db_migrate.backfill = 'on'",
    ];
    const sql = statement.sql.replaceAll(batchMark, range);
    try {
      if (!context.scripts) for (const one of opening) await session.query(one);
      const results = context.scripts ? await runScript(session, [...opening, sql]) : [await session.query(sql)];
      const rows = rowsOf(results.at(-1) ?? {}) ?? 0;
      const closing = [checkpoint.replace("%rows%", String(rows)), "commit"];
      const [first] = context.scripts
        ? await runScript(session, closing)
        : [await session.query(closing[0] as string), await session.query("commit")];
      return { rows, paused: (first?.rows[0] as { paused?: boolean } | undefined)?.paused === true };
    } catch (error) {
      await session.query("rollback").catch(() => undefined);
      throw new StatementError(statement, index, serverMessage(error), error);
    }
  });
}

/** What waits before a batch while a standby is further behind than the backfill allows; null of `settings` waits never. */
function replicaThrottle(
  { session, options }: RunContext,
  migration: PlannedMigration,
  about: {
    readonly settings: BackfillSettings;
    readonly table: string;
    readonly index: number;
    readonly walk: Walk;
  },
): (rows: number) => Promise<void> {
  const { settings, table, index, walk } = about;
  const { maxReplicaLagMs: bound } = settings;
  if (bound === null) return () => Promise.resolve();
  const lag = new ReplicaLag(() => performance.now());
  const everyMs = Math.min(lagEveryMs, bound / 2);
  let asked = -Infinity;
  return async (rows) => {
    if (performance.now() - asked < everyMs) return;
    for (let told = false; ; told = true) {
      const worst = await lag.ask(session);
      asked = performance.now();
      if (worst === null || worst.lagMs <= bound) return;
      const { standby } = worst;
      const replicaLagMs = Math.round(worst.lagMs);
      options.onEvent({ type: "backfill-waiting", migration: migration.id, standby, replicaLagMs });
      options.onProgress({
        phase: "backfill",
        current: rows,
        ...(walk.estimatedRows === null ? {} : { total: Math.max(rows, walk.estimatedRows) }),
        unit: "rows",
        message: `${settings.table}, waiting for standby ${standby}, ${Math.ceil(replicaLagMs / 1_000)} s behind`,
      });
      if (!told)
        options.logger.warn({ migration: migration.id, standby, replicaLagMs }, "the backfill waits for a standby");
      if (await isPaused(session, table, migration.id, index)) throw pausedError(settings, rows);
      await options.clock.sleep(lagPauseMs, options.signal);
    }
  };
}

async function isPaused(session: Queryable, table: string, migration: string, index: number): Promise<boolean> {
  const { rows } = await session.query<{ paused: boolean }>(
    `select paused from ${table} where migration_id = $1 and position = $2`,
    [migration, index],
  );
  return rows[0]?.paused === true;
}

function pausedError(settings: BackfillSettings, rows: number): BackfillPausedError {
  return new BackfillPausedError(`the backfill of ${settings.table} was paused after ${rows} rows`, {
    hint: "Run backfill again: it goes on where it stopped.",
  });
}

function literals(values: readonly string[], types: readonly string[]): string {
  return values.map((value, index) => `${quoteLiteral(value)}::${types[index]}`).join(", ");
}
