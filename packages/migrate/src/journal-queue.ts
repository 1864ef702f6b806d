import type { Queryable } from "@db/core";
import type { History, JournalRecord } from "./history.ts";

const longest = 500;
const most = 10_000;

/**
 * Journal rows of migrations that were one transaction: nobody resumes from them, so they are written many at a time
 * and not one round trip each. What a killed runner had not written yet is only timings.
 */
export class JournalQueue {
  readonly #session: Queryable;
  readonly #history: History;
  #waiting: JournalRecord[] = [];

  constructor(session: Queryable, history: History) {
    this.#session = session;
    this.#history = history;
  }

  async add(records: readonly JournalRecord[]): Promise<void> {
    // A migration may have more statements than a call takes arguments.
    for (const record of records) this.#waiting.push(record);
    if (this.#waiting.length >= longest) await this.flush();
  }

  async flush(): Promise<void> {
    const due = this.#waiting;
    this.#waiting = [];
    for (let at = 0; at < due.length; at += most) {
      await this.#history.writeJournal(this.#session, due.slice(at, at + most));
    }
  }
}
