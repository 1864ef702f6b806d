import { isConnectionError, type Queryable } from "@db/core";
import { toText } from "./collector.ts";
import { statementMark } from "./redact.ts";

interface Asked {
  readonly text: string;
  readonly values: readonly unknown[];
  readonly resolve: (result: { readonly rows: never[] }) => void;
  readonly reject: (error: unknown) => void;
}

/** So many times nothing is joined, after the statements succeeded one by one and not together. */
const timesApart = 60;

/**
 * Joins statements that are asked for at the same moment into one: most of what a scrape asks costs less than its way to
 * the server and back. One that fails spoils no other: then each is asked by itself, and the one that failed stays by
 * itself until it succeeds. Where none fails by itself, on a server too slow for all at once, they stay apart for a while.
 */
export class StatementBatches {
  readonly #alone = new Set<string>();
  #timesApart = 0;
  /** Joined last, and most often next. */
  #joined: { readonly texts: readonly string[]; readonly sql: string } = { texts: [], sql: "" };

  /** Rows come as JSON has them: numbers as numbers, everything else that is not a boolean as text. */
  in(session: Queryable): Queryable {
    let waiting: Asked[] = [];
    let before: Promise<void> = Promise.resolve();
    const flush = async (): Promise<void> => {
      const asked = waiting;
      waiting = [];
      await this.#answer(session, asked);
    };
    return {
      query: (text, values = []) =>
        new Promise((resolve, reject) => {
          // What is asked for in this turn of the event loop is there when the flush begins.
          if (waiting.push({ text, values, resolve, reject }) === 1) before = before.then(flush);
        }),
    };
  }

  async #answer(session: Queryable, asked: readonly Asked[]): Promise<void> {
    const apart = this.#timesApart > 0;
    if (apart) this.#timesApart -= 1;
    const joined = apart ? [] : asked.filter(({ text, values }) => values.length === 0 && !this.#alone.has(text));
    let single = asked;
    let failed = false;
    if (joined.length > 1) {
      try {
        const { rows } = await session.query<Record<string, unknown>>(this.#join(joined));
        for (const [i, { resolve }] of joined.entries()) {
          resolve({ rows: JSON.parse(toText(rows[0]?.[`r${i}`]) || "[]") as never[] });
        }
        single = asked.filter((each) => !joined.includes(each));
      } catch (error) {
        if (isConnectionError(error)) {
          for (const { reject } of asked) reject(error);
          return;
        }
      }
    }
    for (const { text, values, resolve, reject } of single) {
      try {
        resolve(await session.query<never>(text, values));
        this.#alone.delete(text);
      } catch (error) {
        failed = true;
        this.#alone.add(text);
        reject(error);
      }
    }
    if (joined.length > 1 && single === asked && !failed) this.#timesApart = timesApart;
  }

  /** The mark comes first: whoever reads the beginning of a long statement must see whose it is. */
  #join(asked: readonly Asked[]): string {
    const { texts } = this.#joined;
    if (asked.length !== texts.length || asked.some(({ text }, i) => text !== texts[i])) {
      const parts = asked.map(({ text }, i) => `(select json_agg(t) from (${text}) t)::text as r${i}`);
      this.#joined = {
        texts: asked.map(({ text }) => text),
        sql: `select ${statementMark} ${parts.join(", ")}`,
      };
    }
    return this.#joined.sql;
  }
}
