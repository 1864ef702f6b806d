import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { AbortedError, noProgress, type OnProgress, quoteIdentifier } from "@db/core";
import { Client } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import type { Dataset, GeneratedTable } from "./dataset.ts";
import { DatasetConflictError } from "./errors.ts";
import { foreignKeysOf, restoreForeignKeys, setAsideForeignKeys } from "./foreign-key.ts";
import { prepareJournal, readLoad, recordLoad, type RecordedLoad } from "./journal.ts";
import type { LoadOptions } from "./options.ts";

/** What a load did. JSON-serialisable. */
export interface LoadReport {
  readonly application: string;
  /** Rows a table got from this load, or from the earlier one when `skipped`. */
  readonly rows: Readonly<Record<string, number>>;
  readonly durationMs: number;
  /** True when the same dataset was there already; nothing was written. */
  readonly skipped: boolean;
}

/**
 * Loads a dataset by COPY, all of it in one transaction: a load that was killed has left nothing, and the next one
 * begins again. Loading twice does nothing the second time. Two loads at once: the second waits for the first.
 * @throws {DatasetConflictError} when the tables are missing, or hold other rows and `replace` is not set
 * @throws {AbortedError} when `signal` fires
 */
export async function loadDataset(dataset: Dataset, options: LoadOptions): Promise<LoadReport> {
  const { url, replace = false, onProgress = noProgress, signal } = options;
  const startedAt = performance.now();
  const client = new Client({
    connectionString: url,
    application_name: `load ${dataset.application}`,
    connectionTimeoutMillis: connectTimeoutMs,
  });
  // A connection lost between two statements is told by the next one; without a listener it would end the process.
  client.on("error", () => undefined);
  const report = (rows: Readonly<Record<string, number>>, skipped: boolean): LoadReport => {
    return { application: dataset.application, rows, durationMs: Math.round(performance.now() - startedAt), skipped };
  };
  // Ending the connection ends whatever statement is under way, and the server undoes its transaction.
  const stop = (): void => void client.end().catch(() => undefined);
  try {
    throwIfAborted(signal);
    signal?.addEventListener("abort", stop, { once: true });
    await client.connect();
    await client.query("begin");
    await prepareJournal(client, dataset.application);
    const earlier = await readLoad(client, dataset.application);
    await requireTables(client, dataset);
    const filled = await filledTables(client, dataset);
    if (earlier && isSame(earlier, dataset) && filled.length > 0) {
      await client.query("rollback");
      return report(earlier.rows, true);
    }
    if (filled.length > 0 && !replace) throw conflict(filled, earlier?.scale);
    const rows = await fill(client, dataset, onProgress, signal);
    await recordLoad(client, dataset, rows);
    throwIfAborted(signal);
    signal?.removeEventListener("abort", stop);
    await client.query("commit");
    onProgress({ phase: "analyze", current: 0, total: 1, unit: "steps" });
    await client.query(`analyze ${names(dataset)}`);
    onProgress({ phase: "analyze", current: 1, total: 1, unit: "steps" });
    return report(rows, false);
  } catch (error) {
    if (signal?.aborted) throw new AbortedError("the load was aborted; nothing was written", { cause: error });
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
    // What was not committed is undone with the connection.
    await client.end().catch(() => undefined);
  }
}

const connectTimeoutMs = 10_000;

async function fill(
  client: Client,
  dataset: Dataset,
  onProgress: OnProgress,
  signal: AbortSignal | undefined,
): Promise<Record<string, number>> {
  // Readers of the old rows are waited for, not for ever.
  await client.query("set local lock_timeout = '10s'");
  await client.query(`truncate ${names(dataset)} restart identity`);
  const foreignKeys = await foreignKeysOf(
    client,
    dataset.tables.map((table) => table.name),
  );
  await setAsideForeignKeys(client, foreignKeys);
  const total = dataset.tables.reduce((sum, table) => sum + table.rows, 0);
  const rows: Record<string, number> = {};
  let before = 0;
  for (const table of dataset.tables) {
    const copied = await copyTable(client, table, signal, (current) => {
      onProgress({ phase: "load", current: before + current, total, unit: "rows", message: table.name });
    });
    rows[table.name] = copied;
    before += copied;
  }
  onProgress({ phase: "foreign keys", current: 0, total: foreignKeys.length, unit: "steps" });
  await restoreForeignKeys(client, foreignKeys, (current) => {
    throwIfAborted(signal);
    onProgress({ phase: "foreign keys", current, total: foreignKeys.length, unit: "steps" });
  });
  await moveSequences(client, dataset);
  return rows;
}

async function copyTable(
  client: Client,
  table: GeneratedTable,
  signal: AbortSignal | undefined,
  onRows: (rows: number) => void,
): Promise<number> {
  const columns = table.columns.map(quoteIdentifier).join(", ");
  // Rows are frozen as they come: the table is new in this transaction, so nobody else can see it half full.
  const sink = client.query(copyFrom(`copy ${quoteIdentifier(table.name)} (${columns}) from stdin (freeze)`));
  throwIfAborted(signal);
  const source = Readable.from(chunks(table.lines(), onRows), { objectMode: true, highWaterMark: 4 });
  await pipeline(source, sink, signal ? { signal } : {});
  return sink.rowCount;
}

const chunkCharacters = 64 * 1024;

function* chunks(lines: Iterable<string>, onRows: (rows: number) => void): Generator<Buffer> {
  let text = "";
  let rows = 0;
  for (const line of lines) {
    text += line;
    rows++;
    if (text.length < chunkCharacters) continue;
    yield Buffer.from(text);
    onRows(rows);
    text = "";
  }
  if (text !== "") yield Buffer.from(text);
  onRows(rows);
}

async function requireTables(client: Client, dataset: Dataset): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    "select name from unnest($1::text[]) as name where to_regclass(quote_ident(name)) is null",
    [dataset.tables.map((table) => table.name)],
  );
  if (rows.length === 0) return;
  throw new DatasetConflictError(`tables are missing: ${rows.map((row) => row.name).join(", ")}`, {
    hint: `Apply the migrations of ${dataset.application} first.`,
  });
}

async function filledTables(client: Client, dataset: Dataset): Promise<string[]> {
  const probes = dataset.tables.map(
    ({ name }, i) => `select ${i} as table, exists (select from ${quoteIdentifier(name)}) as filled`,
  );
  const { rows } = await client.query<{ table: number; filled: boolean }>(probes.join(" union all "));
  return rows.filter((row) => row.filled).map((row) => dataset.tables[row.table]!.name);
}

function isSame(earlier: RecordedLoad, { seed, scale, version }: Dataset): boolean {
  return earlier.seed === seed && earlier.scale === scale && earlier.version === version;
}

function conflict(filled: readonly string[], earlierScale: number | undefined): DatasetConflictError {
  const what = earlierScale === undefined ? "rows that no load put there" : `another load (scale ${earlierScale})`;
  return new DatasetConflictError(`${filled.join(", ")} already hold ${what}`, {
    hint: "Use an empty database, or ask for a replacement: it deletes every row of these tables.",
  });
}

async function moveSequences(client: Client, dataset: Dataset): Promise<void> {
  const { rows } = await client.query<{ table: string; column: string }>(
    `select c.relname as table, a.attname as column
       from pg_catalog.pg_attribute a
       join pg_catalog.pg_class c on c.oid = a.attrelid
      where a.attidentity <> '' and c.oid = any ($1::text[]::regclass[])`,
    [dataset.tables.map((table) => quoteIdentifier(table.name))],
  );
  for (const { table, column } of rows) {
    await client.query(
      `select setval(pg_get_serial_sequence($1, $2), greatest(max(${quoteIdentifier(column)}), 1))
         from ${quoteIdentifier(table)}`,
      [quoteIdentifier(table), column],
    );
  }
}

const names = (dataset: Dataset): string => dataset.tables.map((table) => quoteIdentifier(table.name)).join(", ");

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortedError("the load was aborted", { cause: signal.reason });
}
