import { isConnectionError, type Queryable } from "@db/core";
import { toText } from "./collector.ts";
import type { RowsOf } from "./live.ts";
import { statementMark } from "./redact.ts";
import { joinSql, type Row, splitAnswer, toRows } from "./rows.ts";

/** What one statement gave last. */
interface Answer {
  readonly raw: string;
  readonly rows: readonly Row[];
}

/** So many times nothing is joined, after the statements succeeded one by one and not together. */
const timesApart = 60;

/**
 * Asks statements as one: most of what a scrape asks costs less than its way to the server and back. One that fails
 * spoils no other: then each is asked by itself, and the one that failed stays by itself until it succeeds. Where none
 * fails by itself, on a server too slow for all at once, they stay apart for a while.
 */
export class LiveStatements {
  readonly #alone = new Set<string>();
  #timesApart = 0;
  /** Whoever asks the same again gives the same array. */
  readonly #joined = new WeakMap<readonly string[], string>();
  readonly #answers = new Map<string, Answer>();

  /**
   * Rows that are as they were the last time are the same array.
   * @throws when the connection is lost; what else fails is thrown by the function returned
   */
  async ask(session: Queryable, texts: readonly string[]): Promise<RowsOf> {
    const failed = new Map<string, unknown>();
    const apart = this.#timesApart > 0;
    if (apart) this.#timesApart -= 1;
    const together = apart ? [] : this.#alone.size === 0 ? texts : texts.filter((text) => !this.#alone.has(text));
    let single = texts;
    if (together.length > 1) {
      try {
        const parts = splitAnswer(await readText(session, this.#join(together)));
        if (parts.length !== together.length) throw new Error("an answer holds a separator");
        for (let i = 0; i < together.length; i++) this.#keep(together[i]!, parts[i]!);
        single = together === texts ? [] : texts.filter((text) => this.#alone.has(text));
      } catch (error) {
        if (isConnectionError(error)) throw error;
      }
    }
    for (const text of single) {
      try {
        this.#keep(text, await readText(session, text));
        this.#alone.delete(text);
      } catch (error) {
        if (isConnectionError(error)) throw error;
        this.#alone.add(text);
        failed.set(text, error);
      }
    }
    if (together.length > 1 && single === texts && failed.size === 0) this.#timesApart = timesApart;
    return (text) => {
      if (failed.has(text)) throw failed.get(text);
      return this.#answers.get(text)!.rows;
    };
  }

  #keep(text: string, raw: string): void {
    if (this.#answers.get(text)?.raw !== raw) this.#answers.set(text, { raw, rows: toRows(raw) });
  }

  /** The mark comes first: whoever reads the beginning of a long statement must see whose it is. */
  #join(texts: readonly string[]): string {
    let sql = this.#joined.get(texts);
    if (sql === undefined) {
      sql = joinSql(statementMark, texts);
      this.#joined.set(texts, sql);
    }
    return sql;
  }
}

async function readText(session: Queryable, sql: string): Promise<string> {
  const { rows } = await session.query<{ r: unknown }>(sql);
  let text = "";
  for (const { r } of rows) text += toText(r);
  return text;
}
