import { createHash } from "node:crypto";
import { type Queryable, quoteLiteral, quoteQualified, sqlStateOf } from "@db/core";
import type { ForeignToolName } from "./adopt/foreign-tool.ts";
import { HistoryError } from "./errors.ts";
import type { HistoryOptions } from "./options.ts";
import { historyDefaults } from "./options.ts";

/**
 * Where a migration stands in the history. `running`: begun outside a transaction and not ended, by a runner still
 * at work or one that died. `reverted`: undone, its row kept for people.
 */
export type HistoryState = "applied" | "running" | "failed" | "reverted";

/** One row of the history, as plain JSON. */
export interface HistoryEntry {
  readonly id: string;
  readonly version: string;
  readonly name: string;
  readonly kind: "versioned" | "repeatable";
  readonly state: HistoryState;
  /** How it came here: run from a file, taken over from another tool's history, or declared by a baseline. */
  readonly source: "file" | "baseline" | ForeignToolName;
  readonly checksum: string;
  /** Hash over this and everything applied before it, in order. */
  readonly chain: string | null;
  /** Order of application, from 1. */
  readonly sequence: number;
  readonly transactional: boolean;
  /** Statements of the up section, and how many of them are done. */
  readonly statements: number;
  readonly statementsDone: number;
  /** ISO 8601. */
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly durationMs: number | null;
  readonly appliedBy: string;
  readonly runId: string;
  readonly toolVersion: string;
  /** What the server said when it failed. */
  readonly error: string | null;
  /** The down section as it was when applied, so that undo works after the file is gone. */
  readonly downSql: string | null;
  /** Fingerprint of the catalog at the end of the run; null on all but a run's last migration. */
  readonly catalogFingerprint: string | null;
}

/** What is written of a migration; the rest the server fills in. */
export type HistoryRecord = Omit<HistoryEntry, "sequence" | "startedAt" | "finishedAt" | "appliedBy"> & {
  readonly appliedBy: string | null;
  /** ISO 8601; null means now. */
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
};

/** One row of the statement journal. */
export interface JournalEntry {
  readonly migration: string;
  readonly direction: "up" | "down";
  readonly position: number;
  readonly hash: string;
  readonly state: "running" | "done" | "failed";
}

/** The history tables of one database. Holds no connection: every call takes the session to run in. */
export class History {
  readonly schema: string;
  readonly table: string;
  /** Quoted and qualified. */
  readonly #history: string;
  readonly #journal: string;

  constructor(options: HistoryOptions) {
    this.schema = options.schema ?? historyDefaults.schema;
    this.table = options.table ?? historyDefaults.table;
    this.#history = quoteQualified(this.schema, this.table);
    this.#journal = quoteQualified(this.schema, `${this.table}_statements`);
  }

  /** One key per history, the same in every runner. Advisory locks are per database already. */
  get lockKey(): string {
    const digest = createHash("sha256").update(`db_migrate:${this.schema}.${this.table}`).digest();
    // Cleared top bit: the two halves then add up in pg_locks without a sign.
    return (digest.readBigUInt64BE(0) >> 1n).toString();
  }

  /** Makes the schema and both tables where they are missing. */
  async ensure(session: Queryable): Promise<void> {
    const { rows } = await session.query<{ columns: string[] | null }>(columnsSql, [this.schema, this.table]);
    if (rows[0]?.columns) {
      this.#checkShape(rows[0].columns);
      return;
    }
    const [schema] = this.#history.split(".");
    await session.query("begin");
    try {
      const known = await session.query("select from pg_catalog.pg_namespace where nspname = $1", [this.schema]);
      if (known.rows.length === 0) await session.query(`create schema if not exists ${schema}`);
      await session.query(`create table ${this.#history} ${historyColumns}`);
      await session.query(`comment on table ${this.#history} is '${historyComment}'`);
      await session.query(`create table ${this.#journal} ${journalColumns(this.#history)}`);
      await session.query(`comment on table ${this.#journal} is '${journalComment}'`);
      await session.query("commit");
    } catch (error) {
      await session.query("rollback").catch(() => undefined);
      throw new HistoryError(
        `the history ${this.schema}.${this.table} could not be made: ${(error as Error).message}`,
        {
          cause: error,
          hint: `Grant CREATE on the database, or make schema ${this.schema} for the role first.`,
        },
      );
    }
  }

  /** Every row in the order applied; null when there is no history yet. */
  async read(session: Queryable): Promise<readonly HistoryEntry[] | null> {
    const shape = await session.query<{ columns: string[] | null }>(columnsSql, [this.schema, this.table]);
    const columns = shape.rows[0]?.columns;
    if (!columns) return null;
    this.#checkShape(columns);
    try {
      const { rows } = await session.query<HistoryRow>(historySelect(this.#history, this.#journal));
      return rows.map(readRow);
    } catch (error) {
      if (sqlStateOf(error) !== "42501") throw error;
      throw new HistoryError(`the role may not read ${this.schema}.${this.table}`, {
        cause: error,
        hint: `Grant USAGE on schema ${this.schema} and SELECT on its tables to the role.`,
      });
    }
  }

  /** Inserts or replaces a migration's row. @throws an error of `isFenced` when the lock is no longer this runner's */
  async write(session: Queryable, record: HistoryRecord, fence: string = "true"): Promise<void> {
    const values = valuesOf(record);
    const places = values.map((_, index) => `$${index + 1}`);
    places[statePlace] = `case when ${fence} then ${places[statePlace]} end`;
    await session.query(upsertSql(this.#history, places), values);
  }

  /**
   * The same as a statement without values, which measures a duration that is null since it was sent, and fails where
   * `fence` does not hold: see `isFenced`.
   */
  writeSql(record: HistoryRecord, place: { readonly sequence: number; readonly fence: string }): string {
    const values = valuesOf(record).map(literalOf);
    if (record.durationMs === null) values[durationPlace] = elapsedSql;
    values[statePlace] = `case when ${place.fence} then ${literalOf(record.state)} end`;
    return upsertSql(this.#history, values, String(place.sequence));
  }

  /** Has the server keep `writeSql` planned, which halves what a row costs, under a name of the caller's choice. */
  async prepareWrite(session: Queryable, name: string, fence: string): Promise<void> {
    const values = Array.from({ length: valueCount }, (_, index) => `$${index + 1}`);
    values[durationPlace] = `coalesce(${values[durationPlace]}, ${elapsedSql})`;
    values[startPlace] = `coalesce(${values[startPlace]}, ${beganSql})`;
    values[statePlace] = `case when ${fence} then ${values[statePlace]} end`;
    await session.query(`prepare ${name} as ${upsertSql(this.#history, values, `$${valueCount + 1}`)}`);
  }

  /** `writeSql` by the name it was prepared under. */
  executeSql(name: string, record: HistoryRecord, sequence: number): string {
    return `execute ${name} (${[...valuesOf(record).map(literalOf), sequence].join(", ")})`;
  }

  /** Whether an error says that the fence of a row did not hold. */
  isFenced(error: unknown): boolean {
    const { table, column } = error as { readonly table?: unknown; readonly column?: unknown };
    const ours = table === this.table || table === `${this.table}_statements`;
    // not_null_violation
    return sqlStateOf(error) === "23502" && ours && column === "state";
  }

  /** Gives a row the name its file has now; answers the row. */
  renameSql(id: string, to: string, name: string): string {
    return `update ${this.#history} set id = ${quoteLiteral(to)}, name = ${quoteLiteral(name)}
       where id = ${quoteLiteral(id)} and state = 'applied' returning id`;
  }

  /** Takes another text for what ran, where the row is still the one seen; answers the row. */
  acceptSql({ id, checksum }: Pick<HistoryEntry, "id" | "checksum">, to: string): string {
    return `update ${this.#history} set checksum = ${quoteLiteral(to)}
       where id = ${quoteLiteral(id)} and checksum = ${quoteLiteral(checksum)} and state = 'applied' returning id`;
  }

  /** Removes a row and its journal, where it is still the one seen; answers the row. */
  forgetSql({ id, checksum, state }: Pick<HistoryEntry, "id" | "checksum" | "state">): string {
    return `delete from ${this.#history}
       where id = ${quoteLiteral(id)} and checksum = ${quoteLiteral(checksum)} and state = ${quoteLiteral(state)}
      returning id`;
  }

  /** What a run has applied so far: id and milliseconds. */
  async readRun(session: Queryable, runId: string): Promise<ReadonlyMap<string, number>> {
    const { rows } = await session.query<{ id: string; ms: number | null }>(
      `select id, duration_ms as ms from ${this.#history} where run_id = $1 and state = 'applied'`,
      [runId],
    );
    return new Map(rows.map(({ id, ms }) => [id, ms ?? 0]));
  }

  async markReverted(session: Queryable, id: string, runId: string): Promise<void> {
    await session.query(
      `update ${this.#history} set state = 'reverted', finished_at = clock_timestamp(), run_id = $2, statements_done = 0,
              error = null where id = $1`,
      [id, runId],
    );
  }

  /** The versioned migration applied last; null when none is. */
  async newest(session: Queryable): Promise<string | null> {
    const { rows } = await session.query<{ id: string }>(
      `select id from ${this.#history} where state = 'applied' and kind = 'versioned' order by sequence desc limit 1`,
    );
    return rows[0]?.id ?? null;
  }

  async setFingerprint(session: Queryable, id: string, fingerprint: string): Promise<void> {
    await session.query(`update ${this.#history} set catalog_fingerprint = $2 where id = $1`, [id, fingerprint]);
  }

  /** The journal of one migration and direction, in order. */
  async readJournal(session: Queryable, migration: string, direction: "up" | "down"): Promise<JournalEntry[]> {
    const { rows } = await session.query<JournalEntry>(
      `select migration_id as migration, direction, position, hash, state
         from ${this.#journal} where migration_id = $1 and direction = $2 order by position`,
      [migration, direction],
    );
    return rows;
  }

  /** Notes what a statement is about to do, or did. */
  async writeJournal(session: Queryable, entries: readonly JournalRecord[], fence: string = "true"): Promise<void> {
    if (entries.length === 0) return;
    await session.query(journalUpsertSql(this.#journal, fence), [JSON.stringify(entries)]);
  }

  async clearJournal(session: Queryable, migration: string, direction: "up" | "down"): Promise<void> {
    await session.query(`delete from ${this.#journal} where migration_id = $1 and direction = $2`, [
      migration,
      direction,
    ]);
  }

  #checkShape(columns: readonly string[]): void {
    const missing = ["id", "version", "state", "checksum", "chain", "sequence", "down_sql"].filter(
      (name) => !columns.includes(name),
    );
    if (missing.length === 0) return;
    throw new HistoryError(
      `${this.schema}.${this.table} is no migration history of this tool: no column ${missing.join(", ")}`,
      { hint: "Name another schema or table for the history." },
    );
  }
}

/** A statement as the journal keeps it. */
export interface JournalRecord extends JournalEntry {
  readonly runId: string;
  readonly kind: string;
  /** From 1, in the file. */
  readonly line: number;
  readonly durationMs: number | null;
  readonly rows: number | null;
  readonly error: string | null;
}

const historyComment = "Schema migrations: one row per migration, newest state. Written by @db/migrate, format 1.";
const journalComment = "Statements of the migrations in the history beside it, written as they run.";

const columnsSql = /* sql */ `
  select array_agg(a.attname::text) as columns
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped`;

const historyColumns = /* sql */ `(
  id                  text primary key,
  version             text not null,
  name                text not null,
  kind                text not null check (kind in ('versioned', 'repeatable')),
  state               text not null check (state in ('applied', 'running', 'failed', 'reverted')),
  source              text not null check (source ~ '^[a-z-]+$'),
  sequence            integer not null,
  started_at          timestamptz,
  finished_at         timestamptz,
  duration_ms         double precision,
  statements          integer not null,
  statements_done     integer not null,
  transactional       boolean not null,
  applied_by          text not null,
  tool_version        text not null,
  run_id              text not null,
  checksum            text not null,
  chain               text,
  error               text,
  down_sql            text,
  catalog_fingerprint text
)`;

const journalColumns = (history: string): string => /* sql */ `(
  migration_id text not null references ${history} on delete cascade on update cascade,
  direction    text not null check (direction in ('up', 'down')),
  position     integer not null,
  kind         text not null,
  line         integer not null,
  state        text not null check (state in ('running', 'done', 'failed')),
  started_at   timestamptz not null default clock_timestamp(),
  duration_ms  double precision,
  rows         bigint,
  hash         text not null,
  run_id       text not null,
  error        text,
  primary key (migration_id, direction, position)
)`;

// While a migration runs step by step, the journal is ahead of its row.
const historySelect = (history: string, journal: string): string => /* sql */ `
  select id, version, name, kind, state, source, checksum, chain, sequence, transactional, statements,
         case when transactional or state not in ('running', 'failed') then statements_done
              else (select count(*) from ${journal} j
                     where j.migration_id = h.id and j.direction = 'up' and j.state = 'done')::int
         end as "statementsDone", (extract(epoch from started_at) * 1000)::float8 as "startedAt",
         (extract(epoch from finished_at) * 1000)::float8 as "finishedAt", duration_ms as "durationMs",
         applied_by as "appliedBy", run_id as "runId", tool_version as "toolVersion", error, down_sql as "downSql",
         catalog_fingerprint as "catalogFingerprint"
    from ${history} h order by sequence`;

type Value = string | number | boolean | null;

function valuesOf(record: HistoryRecord): Value[] {
  return [
    record.id,
    record.version,
    record.name,
    record.kind,
    record.state,
    record.source,
    record.checksum,
    record.chain,
    record.transactional,
    record.statements,
    record.statementsDone,
    record.startedAt,
    record.finishedAt,
    record.durationMs,
    record.appliedBy,
    record.runId,
    record.toolVersion,
    record.error,
    record.downSql,
    record.catalogFingerprint,
  ];
}

const valueCount = 20;
const statePlace = 4;
const durationPlace = 13;
const startPlace = 11;
// One text is one statement to the server's clock, however many it holds: each row leaves its time to the next one.
const beganSql = `greatest(statement_timestamp(), nullif(current_setting('db_migrate.at', true), '')::timestamptz)`;
const elapsedSql = `extract(epoch from clock_timestamp() - ${beganSql})::float8 * 1000`;

function literalOf(value: Value): string {
  return typeof value === "string" ? quoteLiteral(value) : String(value);
}

// The place in the order is kept when a row is only corrected, and taken anew when a migration runs again.
const nextSequence = (history: string): string => `(select coalesce(max(sequence), 0) + 1 from ${history})`;

const upsertSql = (history: string, values: readonly string[], sequence = nextSequence(history)): string => /* sql */ `
  insert into ${history} as h (id, version, name, kind, state, source, checksum, chain, transactional, statements,
         statements_done, started_at, finished_at, duration_ms, applied_by, run_id, tool_version, error, down_sql,
         catalog_fingerprint, sequence)
  values (${values.slice(0, 11).join(", ")}, coalesce(${values[11]}::timestamptz, clock_timestamp()),
          coalesce(${values[12]}::timestamptz, clock_timestamp()), ${values[13]}, coalesce(${values[14]}, session_user),
          ${values.slice(15).join(", ")}, ${sequence})
  on conflict (id) do update
     set version = excluded.version, name = excluded.name, kind = excluded.kind, state = excluded.state,
         source = excluded.source, checksum = excluded.checksum, chain = excluded.chain,
         transactional = excluded.transactional, statements = excluded.statements,
         statements_done = excluded.statements_done, started_at = excluded.started_at,
         finished_at = excluded.finished_at, duration_ms = excluded.duration_ms, applied_by = excluded.applied_by,
         run_id = excluded.run_id, tool_version = excluded.tool_version, error = excluded.error,
         down_sql = excluded.down_sql, catalog_fingerprint = excluded.catalog_fingerprint,
         sequence = case when h.run_id = excluded.run_id then h.sequence else excluded.sequence end
  returning pg_backend_pid() as pid, h.duration_ms as ms,
            set_config('db_migrate.at', clock_timestamp()::text, false) as at`;

const journalUpsertSql = (journal: string, fence: string): string => /* sql */ `
  insert into ${journal} (migration_id, direction, position, kind, line, state, duration_ms, rows, hash, run_id, error)
  select migration, direction, position, kind, line, case when ${fence} then state end, "durationMs", rows, hash, "runId", error
    from json_to_recordset($1::json) as r (migration text, direction text, position int, kind text, line int, state text,
         "durationMs" float8, rows bigint, hash text, "runId" text, error text)
  on conflict (migration_id, direction, position) do update
     set kind = excluded.kind, line = excluded.line, state = excluded.state, duration_ms = excluded.duration_ms,
         rows = excluded.rows, hash = excluded.hash, run_id = excluded.run_id, error = excluded.error,
         started_at = excluded.started_at`;

type HistoryRow = Omit<HistoryEntry, "startedAt" | "finishedAt"> & {
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
};

function readRow(row: HistoryRow): HistoryEntry {
  const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
  return { ...row, startedAt: iso(row.startedAt), finishedAt: iso(row.finishedAt) };
}
