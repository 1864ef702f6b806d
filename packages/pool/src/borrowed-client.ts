import type pg from "pg";
import { type ClientHome, homeKey } from "./checkout-registry.ts";
import { DoubleReleaseError, SessionEndedError } from "./errors.ts";

type Callback = (error: Error) => void;
type AnyFunction = (...args: unknown[]) => unknown;
type Release = (error?: Error | boolean) => void;

/** The one handle of a connection that everybody who borrows it gets, and that the pool's events show. */
export interface StandingClient {
  lend(home: ClientHome, release: Release): pg.PoolClient & Disposable;
  /** Tells listeners of it. */
  show(to: (client: pg.PoolClient) => void): void;
}

/**
 * What a borrower sees of a client: the client itself until it is released, and nothing to work with afterwards. The
 * connection serves somebody else by then, and a statement sent through an old reference would run in their session.
 */
export class BorrowedClient implements ProxyHandler<pg.PoolClient> {
  #release: Release | undefined;
  #home: ClientHome | undefined;
  #released = false;
  /** Counts checkouts: a method taken during one of them is nothing in the next. */
  #checkout = 0;
  /** True while listeners of the pool's events are told of it: what they do with it is part of the event. */
  #shown = false;
  /** Methods handed out, and those the borrower put in their place. */
  #own: Map<PropertyKey, unknown> | undefined;

  private constructor(home?: ClientHome, release?: Release) {
    this.#home = home;
    this.#release = release;
  }

  /** A handle for one checkout. */
  static lend(home: ClientHome, release: Release): pg.PoolClient & Disposable {
    return new Proxy(home.connection.client, new BorrowedClient(home, release)) as pg.PoolClient & Disposable;
  }

  /** One handle for all checkouts of a connection. New, it works as pg's `connect` event needs it to. */
  static standing(client: pg.PoolClient): StandingClient {
    const borrowed = new BorrowedClient();
    const handle = new Proxy(client, borrowed) as pg.PoolClient & Disposable;
    return {
      lend: (home, release) => {
        borrowed.#home = home;
        borrowed.#release = release;
        borrowed.#released = false;
        borrowed.#checkout += 1;
        borrowed.#own = undefined;
        return handle;
      },
      show: (to) => {
        borrowed.#shown = true;
        try {
          to(handle);
        } finally {
          borrowed.#shown = false;
        }
      },
    };
  }

  get(client: pg.PoolClient, key: PropertyKey, borrowed: unknown): unknown {
    if (key === homeKey) return this.#home;
    const own = this.#shown ? undefined : this.#own?.get(key);
    if (own !== undefined) return own;
    const method = this.#method(client, key, borrowed);
    if (method === undefined) return Reflect.get(client, key, client);
    if (!this.#shown) (this.#own ??= new Map()).set(key, method);
    return method;
  }

  set(client: pg.PoolClient, key: PropertyKey, value: unknown): boolean {
    // Borrowers wrap these for themselves, and the next one is not to find it; listeners wrap them for good.
    if ((key !== "query" && key !== "release") || this.#shown) return Reflect.set(client, key, value, client);
    (this.#own ??= new Map()).set(key, value);
    return true;
  }

  has(client: pg.PoolClient, key: PropertyKey): boolean {
    return key === "release" || key === Symbol.dispose || Reflect.has(client, key);
  }

  #method(client: pg.PoolClient, key: PropertyKey, borrowed: unknown): AnyFunction | undefined {
    const checkout = this.#shown ? undefined : this.#checkout;
    if (key === "release") return (error) => this.#giveBack(checkout, error as Error | boolean | undefined);
    if (key === Symbol.dispose) {
      return () => {
        if (this.#checkout !== checkout) throw new DoubleReleaseError();
        return (borrowed as { release(): unknown }).release();
      };
    }
    const value: unknown = Reflect.get(client, key, client);
    // What stands on the client itself is data, and may be a class.
    if (typeof value !== "function" || key === "constructor" || (key !== "query" && Object.hasOwn(client, key))) {
      return undefined;
    }
    const refuses = key === "query" || key === "end" || key === "connect";
    return (...args) => {
      if (refuses && this.#isOver(checkout)) return refuse(args);
      const result = Reflect.apply(value as AnyFunction, client, args);
      return result === client ? borrowed : result;
    };
  }

  #isOver(checkout: number | undefined): boolean {
    return checkout !== undefined && !this.#shown && (this.#released || this.#checkout !== checkout);
  }

  #giveBack(checkout: number | undefined, error: Error | boolean | undefined): void {
    const release = this.#release;
    if (!release || this.#checkout !== checkout) throw new DoubleReleaseError();
    this.#release = undefined;
    this.#released = true;
    release(error);
  }
}

/** Says so the way the answer was asked for. @throws {SessionEndedError} to who passed a query object */
function refuse(args: readonly unknown[]): unknown {
  const error = new SessionEndedError();
  const [first] = args as [{ submit?: unknown } | undefined];
  // A cursor or a stream could be told only by a connection that it never had.
  if (typeof first?.submit === "function") throw error;
  const callback = args.findLast((each) => typeof each === "function") as Callback | undefined;
  if (!callback) return Promise.reject(error);
  process.nextTick(callback, error);
  return undefined;
}
