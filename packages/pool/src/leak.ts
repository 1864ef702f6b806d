import { sqlStateOf } from "@db/core";
import type { Connection } from "./connection.ts";
import type { LostConnection } from "./pool-events.ts";
import { loggable } from "./sql-text.ts";

/** A connection checked out for longer than `leakThresholdMs`. */
export interface LeakReport {
  readonly server: string;
  readonly heldMs: number;
  /** When it was checked out, ISO 8601. */
  readonly since: string;
  /** Where it was checked out. */
  readonly stack: string | undefined;
  /** The statement last sent through the pool's own calls, without literals. */
  readonly lastStatement: string | undefined;
  /** True while a statement runs: slow rather than forgotten. */
  readonly busy: boolean;
  /** True when the connection was taken back; it is closed, and its holder's next statement fails. */
  readonly reclaimed: boolean;
}

/** Watches borrowed connections and reports each one that is held too long, once. */
export class LeakWatch {
  readonly #thresholdMs: number | false;
  readonly #report: (leak: LeakReport) => void;
  /** Takes a connection back; absent where leaks are only reported. */
  readonly #reclaim: ((connection: Connection) => void) | undefined;
  readonly #timers = new Map<Connection, NodeJS.Timeout>();
  readonly #leaking = new Set<Connection>();
  #count = 0;

  constructor(
    thresholdMs: number | false,
    report: (leak: LeakReport) => void,
    reclaim?: (connection: Connection) => void,
  ) {
    this.#thresholdMs = thresholdMs;
    this.#report = report;
    this.#reclaim = reclaim;
  }

  /** Where the pool's caller stands, while reports are on: capturing it costs about ten microseconds. */
  captureStack(): string | undefined {
    if (this.#thresholdMs === false) return undefined;
    // Without the message, this method and the method of the pool.
    return new Error("checkout").stack?.split("\n").slice(3).join("\n");
  }

  lent(connection: Connection): void {
    if (this.#thresholdMs === false || !connection.checkout?.borrowed) return;
    this.#timers.set(connection, setTimeout(() => this.#leaked(connection), this.#thresholdMs).unref());
  }

  #leaked(connection: Connection): void {
    const first = !this.#leaking.has(connection);
    this.#leaking.add(connection);
    // What works is slow rather than forgotten; it is looked at again.
    const reclaim = this.#reclaim !== undefined && !connection.busy;
    if (this.#reclaim && !reclaim) this.#timers.get(connection)?.refresh();
    const leak = describeLeak(connection);
    if (reclaim) this.#reclaim?.(connection);
    if (leak && (first || reclaim)) this.#report({ ...leak, reclaimed: reclaim });
    if (first) this.#count += 1;
  }

  returned(connection: Connection): void {
    const timer = this.#timers.get(connection);
    if (timer === undefined) return;
    clearTimeout(timer);
    this.#timers.delete(connection);
    this.#leaking.delete(connection);
  }

  /** Every connection held past the threshold now, oldest first. */
  current(): LeakReport[] {
    return Array.from(this.#leaking, describeLeak)
      .filter((leak) => leak !== undefined)
      .sort((a, b) => b.heldMs - a.heldMs);
  }

  /** How many were reported so far. */
  get count(): number {
    return this.#count;
  }
}

/** What is known of a connection that broke while it was checked out. */
export function describeLoss(error: Error, connection: Connection): LostConnection {
  const { server, checkout, lastStatement } = connection;
  return {
    error,
    sqlState: sqlStateOf(error),
    server,
    heldMs: checkout ? performance.now() - checkout.since : 0,
    stack: checkout?.stack,
    lastStatement: lastStatement === undefined ? undefined : loggable(lastStatement),
  };
}

function describeLeak({ server, checkout, lastStatement, busy }: Connection): LeakReport | undefined {
  if (!checkout) return undefined;
  const heldMs = performance.now() - checkout.since;
  const since = new Date(Date.now() - heldMs).toISOString();
  const last = lastStatement === undefined ? undefined : loggable(lastStatement);
  return { server, heldMs, since, stack: checkout.stack, lastStatement: last, busy, reclaimed: false };
}
