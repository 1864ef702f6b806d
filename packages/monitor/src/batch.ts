import { isConnectionError, type Queryable } from "@db/core";
import { toText } from "./collector.ts";
import { statementMark } from "./redact.ts";
import { type CollectorSession, readRows, type Row } from "./rows.ts";

interface Asked {
  readonly text: string;
  readonly answer: Promise<readonly Row[]>;
  readonly resolve: (rows: readonly Row[]) => void;
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

  /** Joins what is asked for with `rows`; what is asked with `query` waits its turn. */
  in(session: Queryable): CollectorSession {
    let waiting = new Map<string, Asked>();
    let before: Promise<unknown> = Promise.resolve();
    const flush = async (): Promise<void> => {
      const asked = waiting;
      waiting = new Map();
      await this.#answer(session, [...asked.values()]);
    };
    return {
      rows: (text) => {
        const known = waiting.get(text);
        if (known) return known.answer;
        // What is asked for in this turn of the event loop is there when the flush begins.
        if (waiting.size === 0) before = before.then(flush);
        const { promise: answer, resolve, reject } = Promise.withResolvers<readonly Row[]>();
        waiting.set(text, { text, answer, resolve, reject });
        return answer;
      },
      query: <Result extends object>(text: string, values?: readonly unknown[]) => {
        const asked = before.then(() => session.query<Result>(text, values));
        before = asked.catch(() => undefined);
        return asked;
      },
    };
  }

  async #answer(session: Queryable, asked: readonly Asked[]): Promise<void> {
    const apart = this.#timesApart > 0;
    if (apart) this.#timesApart -= 1;
    const joined = apart ? [] : asked.filter(({ text }) => !this.#alone.has(text));
    let single = asked;
    let failed = false;
    if (joined.length > 1) {
      try {
        const { rows } = await session.query<{ r: unknown }>(this.#join(joined));
        const parts = JSON.parse(toText(rows[0]?.r)) as readonly (readonly Row[] | null)[];
        for (let i = 0; i < joined.length; i++) joined[i]!.resolve(parts[i] ?? []);
        single = joined.length === asked.length ? [] : asked.filter((each) => !joined.includes(each));
      } catch (error) {
        if (isConnectionError(error)) {
          for (const { reject } of asked) reject(error);
          return;
        }
      }
    }
    for (const { text, resolve, reject } of single) {
      try {
        resolve(await readRows(session, text));
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
      const parts = asked.map(({ text }) => `(select pg_catalog.json_agg(t.r) from (${text}) t)`);
      this.#joined = {
        texts: asked.map(({ text }) => text),
        // As text: a driver would make objects of JSON, or not, by its own settings.
        sql: `select ${statementMark} pg_catalog.json_build_array(${parts.join(", ")})::text as r`,
      };
    }
    return this.#joined.sql;
  }
}
