import { sqlStateOf } from "./sqlstate.ts";

/**
 * Runs one SQL statement: a pool, a client, a transaction, PGlite.
 *
 * `values` bind to `$1`, `$2`, …; with no values the text may hold several statements only where the
 * driver says so, so features never rely on it.
 */
export interface Queryable {
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<{ readonly rows: Row[] }>;
}

/** A `Queryable` that can pin one session, released on every exit. */
export interface Database extends Queryable {
  /** Runs `use` on one session: what it sets or locks stays on that session until `use` ends. */
  withSession<T>(use: (session: Queryable) => Promise<T>): Promise<T>;
  /** Commits when `use` returns, rolls back when it throws. */
  withTransaction<T>(use: (tx: Queryable) => Promise<T>): Promise<T>;
}

/** The shape of `pg.Pool`, as far as this house uses it. */
export interface PoolLike extends Queryable {
  readonly totalCount: number;
  connect(): Promise<Queryable & { release(error?: Error | boolean): void }>;
}

/** The shape of `pg.Client`, as far as this house uses it. The caller has connected it and will end it. */
export interface ClientLike extends Queryable {
  readonly host: string;
  readonly port: number;
}

/** The shape of PGlite, as far as this house uses it. */
export interface PgliteLike extends Queryable {
  readonly waitReady: Promise<void>;
  transaction<T>(use: (tx: Queryable) => Promise<T>): Promise<T>;
}

/** Everything a feature accepts as its database: `@db/pool`, `pg.Pool`, `pg.Client`, PGlite. */
export type DatabaseLike = Database | PoolLike | ClientLike | PgliteLike;

/**
 * Gives any accepted database the two calls a feature needs. A `Database` comes back as it is, so calling it
 * twice costs nothing; a single client serialises its sessions, since it has only one.
 */
export function toDatabase(source: DatabaseLike): Database {
  if (isDatabase(source)) return source;
  if ("totalCount" in source) return fromPool(source);
  if ("transaction" in source) return fromPglite(source);
  return fromClient(source);
}

function isDatabase(source: DatabaseLike): source is Database {
  const candidate = source as Partial<Database>;
  return typeof candidate.withSession === "function" && typeof candidate.withTransaction === "function";
}

function fromPool(pool: PoolLike): Database {
  const withSession = async <T>(use: (session: Queryable) => Promise<T>): Promise<T> => {
    const client = await pool.connect();
    // A pg client that loses its connection while it is lent emits "error", and unheard that ends the process. The
    // query under way, or the next, says the same to whoever can act on it.
    const events = client as Partial<Record<"on" | "off", (event: "error", listener: () => void) => unknown>>;
    const unheard = (): void => undefined;
    events.on?.("error", unheard);
    let broken: Error | undefined;
    try {
      return await use(client);
    } catch (error) {
      // Only an error without a SQLSTATE came from the connection; the rest leave it usable.
      if (sqlStateOf(error) === undefined) broken = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      client.release(broken);
      // Only now: from its release on the pool listens again. One destroyed may still speak, and is left its listener.
      if (broken === undefined) events.off?.("error", unheard);
    }
  };
  return {
    query: (text, values) => pool.query(text, values),
    withSession,
    withTransaction: (use) => withSession((session) => inTransaction(session, use)),
  };
}

function fromClient(client: ClientLike): Database {
  let tail: Promise<unknown> = Promise.resolve();
  const exclusively = <T>(use: () => Promise<T>): Promise<T> => {
    const result = tail.then(use);
    tail = result.catch(() => undefined);
    return result;
  };
  return {
    query: (text, values) => exclusively(() => client.query(text, values)),
    withSession: (use) => exclusively(() => use(client)),
    withTransaction: (use) => exclusively(() => inTransaction(client, use)),
  };
}

function fromPglite(pglite: PgliteLike): Database {
  return {
    query: (text, values) => pglite.query(text, values),
    withSession: (use) => use(pglite),
    withTransaction: (use) => pglite.transaction(use),
  };
}

async function inTransaction<T>(session: Queryable, use: (tx: Queryable) => Promise<T>): Promise<T> {
  await session.query("begin");
  let result: T;
  try {
    result = await use(session);
  } catch (error) {
    // The first error is the one worth reading: a rollback that fails too says only that the session is gone.
    await session.query("rollback").catch(() => undefined);
    throw error;
  }
  await session.query("commit");
  return result;
}
