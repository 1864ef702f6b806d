import { createRequire } from "node:module";
import { Pool } from "@db/pool";
import type { NodePgDatabase } from "drizzle-orm/node-postgres";
import type pg from "pg";
import { LegacyMissingPeerError } from "../errors.ts";
import { type OldName } from "../successor.ts";
import { recordUse } from "../use.ts";
import { processManager, type UnifiedConnectionManager } from "./connection-manager.ts";

/** A Drizzle handle without a schema: `db.select().from(bills)`. */
export type DrizzleHandle = NodePgDatabase;

/** Reads of the process: on a replica that has what this process wrote, or on the primary while none has. */
export const readDb: DrizzleHandle = handle("readDb", "replica");

/** Writes of the process, and reads that must be the newest: always on the primary. */
export const writeDb: DrizzleHandle = handle("writeDb", "primary");

/** Made on first use, so that importing it needs neither drizzle-orm nor a database. */
function handle(name: OldName & ("readDb" | "writeDb"), target: "primary" | "replica"): DrizzleHandle {
  let made: DrizzleHandle | undefined;
  return new Proxy({} as DrizzleHandle, {
    get(_, property) {
      recordUse(name);
      made ??= loadDrizzle(name)({ client: poolOf(target) });
      const value: unknown = Reflect.get(made, property, made);
      return typeof value === "function" ? (value.bind(made) as unknown) : value;
    },
    has: (_, property) => property in (made ?? {}),
  });
}

/** Drizzle sees a `pg.Pool`; what is behind it is found at each call, since the pool of the process may be another by then. */
function poolOf(target: "primary" | "replica"): pg.Pool {
  const onReplica = target === "replica";
  return Object.assign(Object.create(Pool.prototype) as pg.Pool, {
    query: (statement: pg.QueryConfig, values?: unknown[]) => processManager().run(statement, values, onReplica),
    connect: () => clientOf(processManager(), onReplica),
  });
}

function clientOf(manager: UnifiedConnectionManager, onReplica: boolean): Promise<pg.PoolClient> {
  return onReplica ? manager.getReadConnection() : manager.getWriteConnection();
}

type MakeHandle = (of: { readonly client: pg.Pool }) => DrizzleHandle;

/** @throws {LegacyMissingPeerError} where drizzle-orm is not installed */
function loadDrizzle(name: string): MakeHandle {
  try {
    const require = createRequire(import.meta.url);
    return (require("drizzle-orm/node-postgres") as { drizzle: MakeHandle }).drizzle;
  } catch (cause) {
    throw new LegacyMissingPeerError(name, "drizzle-orm", cause);
  }
}
