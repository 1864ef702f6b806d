import { sqlStateOf } from "@db/core";
import type { Connection } from "./connection.ts";
import { QueryTimeoutError } from "./errors.ts";
import { repeatCancelMs, type StatementHost } from "./statement.ts";

/** What is held to the bound. */
interface Bounded {
  readonly connection: Connection;
  /** The statement the server is working on; there may be none. */
  readonly head: object | undefined;
  /** How long it has had the server. */
  headMs(now: number): number;
}

/**
 * Holds each statement of a lane to the pool's bound, counted from when the server began with it. At the bound it is
 * cancelled on the server. A cancel names a connection, not a statement: one that comes late hits whoever is next. Such
 * a neighbour was undone by it and is run again, so a lane that has cancelled takes no more statements until it is empty.
 *
 * One timer serves all: it looks whether the first in the queue is over its time, and sleeps for what is left of it.
 */
export class LaneBound {
  readonly #lane: Bounded;
  readonly #host: StatementHost;
  readonly #timeoutMs: number;
  #timer: NodeJS.Timeout | undefined;
  #stopped: object | undefined;
  #repetition: NodeJS.Timeout | undefined;
  #escalation: NodeJS.Timeout | undefined;
  #cancelling: Promise<unknown> | undefined;

  constructor(lane: Bounded, host: StatementHost, timeoutMs: number | false) {
    this.#lane = lane;
    this.#host = host;
    this.#timeoutMs = timeoutMs === false ? Infinity : timeoutMs;
  }

  /** Cancels under way or sent since the lane was last settled; undefined when there were none. */
  get cancelling(): Promise<unknown> | undefined {
    return this.#cancelling;
  }

  /** A statement has the server now. */
  began(): void {
    if (this.#timer || this.#timeoutMs === Infinity) return;
    this.#sleep(this.#timeoutMs);
  }

  /** The first in the queue has ended. */
  ended(statement: object): void {
    if (statement !== this.#stopped) return;
    this.#stopped = undefined;
    clearInterval(this.#repetition);
    clearTimeout(this.#escalation);
    this.#sleep(this.#timeoutMs);
  }

  /** Nothing is under way any more, and no cancel will hit what comes next. */
  settled(): void {
    this.#cancelling = undefined;
  }

  /** What an error means here: the bound was reached, a neighbour's cancel hit this one, or neither. */
  explain(statement: object, error: unknown): { readonly error: unknown; readonly mistaken: boolean } {
    const cancelled = sqlStateOf(error) === "57014";
    if (statement === this.#stopped && (cancelled || sqlStateOf(error) === undefined)) {
      const timeout = new QueryTimeoutError({ timeoutMs: this.#timeoutMs, cancelled, cause: error });
      return { error: timeout, mistaken: false };
    }
    return { error, mistaken: cancelled && this.#cancelling !== undefined };
  }

  #sleep(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), ms).unref();
  }

  #look(): void {
    this.#timer = undefined;
    const { head } = this.#lane;
    if (!head || this.#stopped) return;
    const left = this.#timeoutMs - this.#lane.headMs(performance.now());
    if (left > 0) this.#sleep(Math.ceil(left));
    else this.#stop(head);
  }

  #stop(statement: object): void {
    const { connection } = this.#lane;
    this.#stopped = statement;
    this.#host.stopped("timeout");
    this.#escalation = setTimeout(() => connection.destroySocket(), this.#host.cancelTimeoutMs);
    this.#cancel();
    // One that overtook the statement it was meant for found nothing to cancel.
    this.#repetition = setInterval(() => this.#cancel(), repeatCancelMs);
  }

  #cancel(): void {
    this.#cancelling = Promise.all([this.#cancelling, this.#host.cancel(this.#lane.connection)]);
  }
}
