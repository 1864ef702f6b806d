import { createHash } from "node:crypto";
import { type Queryable, quoteLiteral, quoteQualified, sqlStateOf } from "@db/core";
import type { ForeignToolName } from "./adopt/foreign-tool.ts";
import { HistoryError } from "./errors.ts";
import type { ChainLink } from "./history-chain.ts";
import {
  answerSql,
  columnsSql,
  digestSql,
  doneSql,
  existsSql,
  historyColumns,
  historyComment,
  historySelect,
  insertSql,
  journalColumns,
  journalComment,
  journalUpsertSql,
  upsertSql,
} from "./history-sql.ts";
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
  /** Hash over this and every versioned migration applied before it, in order; null for a repeatable. */
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

  /** One hash over what `settledDigest` is over. */
  async digest(session: Queryable): Promise<string> {
    const [row] = await this.#select<{ digest: string }>(session, digestSql(this.#history));
    return row?.digest ?? "";
  }

  /** Every row in the order applied; null when there is no history yet. */
  async read(session: Queryable, known?: { readonly exists: boolean }): Promise<readonly HistoryEntry[] | null> {
    const exists =
      known?.exists ?? (await session.query<{ exists: boolean }>(existsSql, [this.schema, this.table])).rows[0]?.exists;
    if (!exists) return null;
    const rows = await this.#select<HistoryRow>(session, historySelect(this.#history));
    // While a migration runs step by step, the journal is ahead of its row.
    const open = rows.filter(({ transactional, state }) => !transactional && /^(running|failed)$/.test(state));
    if (open.length === 0) return rows.map((row) => readRow(row));
    const journal = await session.query<{ id: string; done: number }>(doneSql(this.#journal), [
      open.map(({ id }) => id),
    ]);
    const done = new Map(journal.rows.map((row) => [row.id, row.done]));
    return rows.map((row) => readRow(open.includes(row) ? { ...row, statementsDone: done.get(row.id) ?? 0 } : row));
  }

  async #select<Row extends object>(session: Queryable, sql: string): Promise<readonly Row[]> {
    try {
      return (await session.query<Row>(sql)).rows;
    } catch (error) {
      // undefined_column, and relations that are no tables
      if (sqlStateOf(error) === "42703" || sqlStateOf(error) === "42809") {
        const shape = await session.query<{ columns: string[] | null }>(columnsSql, [this.schema, this.table]);
        this.#checkShape(shape.rows[0]?.columns ?? []);
      }
      if (sqlStateOf(error) !== "42501") throw error;
      throw new HistoryError(`the role may not read ${this.schema}.${this.table}`, {
        cause: error,
        hint: `Grant USAGE on schema ${this.schema} and SELECT on its tables to the role.`,
      });
    }
  }

  /**
   * Inserts or replaces a migration's row.
   * @returns its place in the order applied
   * @throws an error of `isFenced` when the lock is no longer this runner's
   */
  async write(session: Queryable, record: HistoryRecord, fence: string = "true"): Promise<number> {
    const values = valuesOf(record);
    const places = values.map((_, index) => `$${index + 1}`);
    places[statePlace] = `case when ${fence} then ${places[statePlace]} end`;
    const { rows } = await session.query<{ sequence: number }>(upsertSql(this.#history, places), values);
    return rows[0]?.sequence ?? 0;
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

  /**
   * Has the server keep `writeSql` planned, which halves what a row costs, under a name of the caller's choice, and
   * under `<name>_new` for a migration without a row.
   */
  async prepareWrite(session: Queryable, name: string, fence: string): Promise<void> {
    const values = Array.from({ length: valueCount }, (_, index) => `$${index + 1}`);
    values[durationPlace] = `coalesce(${values[durationPlace]}, ${elapsedSql})`;
    values[startPlace] = `coalesce(${values[startPlace]}, ${beganSql})`;
    values[statePlace] = `case when ${fence} then ${values[statePlace]} end`;
    const place = `$${valueCount + 1}`;
    await session.query(`prepare ${name} as ${upsertSql(this.#history, values, place)}`);
    await session.query(`prepare ${name}_new as ${insertSql(this.#history, values, place)}${answerSql}`);
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

  /** Writes the links of rows whose migration is applied; answers the rows. */
  relinkSql(links: readonly ChainLink[]): string {
    const values = links.map(({ id, chain }) => `(${quoteLiteral(id)}, ${quoteLiteral(chain)})`).join(", ");
    return `update ${this.#history} h set chain = link.chain from (values ${values}) as link (id, chain)
       where h.id = link.id and h.state = 'applied' returning h.id`;
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
// To the server's clock all transactions of one text begin with it: each row leaves its time to the next one.
const beganSql = `greatest(transaction_timestamp(), nullif(current_setting('db_migrate.at', true), '')::timestamptz)`;
const elapsedSql = `extract(epoch from clock_timestamp() - ${beganSql})::float8 * 1000`;

function literalOf(value: Value): string {
  return typeof value === "string" ? quoteLiteral(value) : String(value);
}

type HistoryRow = Omit<HistoryEntry, "startedAt" | "finishedAt"> & {
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
};

function readRow(row: HistoryRow): HistoryEntry {
  const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
  return { ...row, startedAt: iso(row.startedAt), finishedAt: iso(row.finishedAt) };
}
