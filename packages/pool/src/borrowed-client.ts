import type pg from "pg";
import { type ClientHome, homeKey } from "./checkout-registry.ts";
import { DoubleReleaseError, SessionEndedError } from "./errors.ts";

type Callback = (error: Error) => void;
type AnyFunction = (...args: unknown[]) => unknown;

/**
 * What one borrower sees of a client: the client itself until it is released, and nothing to work with afterwards. The
 * connection serves somebody else by then, and a statement sent through an old reference would run in their session.
 */
export class BorrowedClient implements ProxyHandler<pg.PoolClient> {
  readonly #release: (error?: Error | boolean) => void;
  readonly #home: ClientHome;
  #released = false;
  /** Methods handed out, and those the borrower put in their place. */
  #own: Map<PropertyKey, unknown> | undefined;

  private constructor(home: ClientHome, release: (error?: Error | boolean) => void) {
    this.#home = home;
    this.#release = release;
  }

  static lend(home: ClientHome, release: (error?: Error | boolean) => void): pg.PoolClient & Disposable {
    return new Proxy(home.connection.client, new BorrowedClient(home, release)) as pg.PoolClient & Disposable;
  }

  get(client: pg.PoolClient, key: PropertyKey, borrowed: unknown): unknown {
    if (key === homeKey) return this.#home;
    const own = this.#own?.get(key);
    if (own !== undefined) return own;
    const method = this.#method(client, key, borrowed);
    if (method === undefined) return Reflect.get(client, key, client);
    (this.#own ??= new Map()).set(key, method);
    return method;
  }

  set(client: pg.PoolClient, key: PropertyKey, value: unknown): boolean {
    // Borrowers wrap these for themselves; the next one is not to find it.
    if (key !== "query" && key !== "release") return Reflect.set(client, key, value, client);
    (this.#own ??= new Map()).set(key, value);
    return true;
  }

  has(client: pg.PoolClient, key: PropertyKey): boolean {
    return key === "release" || key === Symbol.dispose || Reflect.has(client, key);
  }

  #method(client: pg.PoolClient, key: PropertyKey, borrowed: unknown): AnyFunction | undefined {
    if (key === "release") return (error) => this.#giveBack(error as Error | boolean | undefined);
    if (key === Symbol.dispose) return () => (borrowed as { release(): unknown }).release();
    const value: unknown = Reflect.get(client, key, client);
    // What stands on the client itself is data, and may be a class.
    if (typeof value !== "function" || key === "constructor" || (key !== "query" && Object.hasOwn(client, key))) {
      return undefined;
    }
    const refuses = key === "query" || key === "end" || key === "connect";
    return (...args) => {
      if (refuses && this.#released) return refuse(args);
      const result = Reflect.apply(value as AnyFunction, client, args);
      return result === client ? borrowed : result;
    };
  }

  #giveBack(error: Error | boolean | undefined): void {
    if (this.#released) throw new DoubleReleaseError();
    this.#released = true;
    this.#release(error);
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
