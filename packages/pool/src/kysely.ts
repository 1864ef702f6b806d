import { type Dialect, PostgresDialect, type PostgresDialectConfig } from "kysely";
import type pg from "pg";
import Cursor from "pg-cursor";
import { type ClientHome, homeOf } from "./checkout-registry.ts";
import type { Pool } from "./pool.ts";

/** Options of the dialect, beside the pool. */
export type KyselyDialectOptions = Pick<PostgresDialectConfig, "onCreateConnection" | "onReserveConnection">;

type KyselyClient = Awaited<ReturnType<Extract<PostgresDialectConfig["pool"], { connect: unknown }>["connect"]>>;

/**
 * A Kysely dialect on the pool, with streaming.
 *
 * Kysely cancels by a process id on a connection it makes from the pool's options, so with several servers it could
 * cancel a stranger's statement on the wrong one. This dialect gives it numbers of its own instead of process ids, and
 * sends each cancel to the server that runs the statement.
 */
export function kyselyDialect(pool: Pool, options: KyselyDialectOptions = {}): Dialect {
  /** Kysely knows a connection by its handle, whoever has borrowed it; the client is that of the borrower. */
  const handles = new WeakMap<object, { readonly handle: KyselyClient; client: pg.PoolClient }>();
  const homes = new Map<number, WeakRef<ClientHome>>();
  let numbers = 0;

  const adopt = async (): Promise<KyselyClient> => {
    const client: pg.PoolClient = await pool.connect();
    const home = homeOf(client);
    const known = handles.get(home?.connection ?? client);
    if (known) {
      known.client = client;
      return known.handle;
    }
    const number = (numbers += 1);
    if (home) homes.set(number, new WeakRef(home));
    client.once("end", () => homes.delete(number));
    const handle = {
      processID: number,
      query: (...args: Parameters<typeof client.query>) => entry.client.query(...args),
      release: (destroy?: boolean) => entry.client.release(destroy),
    } as unknown as KyselyClient;
    const entry = { handle, client };
    handles.set(home?.connection ?? client, entry);
    return handle;
  };

  class ControlClient {
    connect(): Promise<this> {
      return Promise.resolve(this);
    }
    async query(sql: string): Promise<{ rows: never[] }> {
      const request = /pg_(cancel|terminate)_backend\((\d+)\)/.exec(sql);
      const home = homes.get(Number(request?.[2]))?.deref();
      const cancelled = home?.server.statements.cancel(home.connection);
      // A session that is ended fails as one that was lost does, not as a statement that was cancelled.
      if (request?.[1] === "terminate") home?.connection.destroySocket();
      await cancelled;
      return { rows: [] };
    }
    end(): void {
      // It never connected.
    }
  }

  return new PostgresDialect({
    ...options,
    pool: { connect: adopt, end: () => pool.end(), options: {} },
    controlClient: ControlClient as never,
    cursor: Cursor as never,
  });
}
