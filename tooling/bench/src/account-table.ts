import { createPool, type Pool } from "@db/pool";
import { startCluster, type TestCluster } from "@db/testkit";
import { Pool as PgPool } from "pg";
import postgres from "postgres";
import type { Arena } from "./benchmark.ts";
import { mixSeed } from "./shuffle.ts";

/** A row of the table that the pools read. */
export interface Account {
  readonly id: number;
  readonly name: string;
  readonly score: number;
}

/** A server with a table of accounts, and every pool on it with the same number of connections. */
export interface AccountArena extends Arena {
  readonly dbPool: Pool;
  /** Of pg. Its named and unnamed statements have a pool each, so that none has the other's connections. */
  readonly pgNamed: PgPool;
  readonly pgUnnamed: PgPool;
  readonly dbPoolNamed: Pool;
  /** Bounds every statement, and reports slow ones, as a configuration does that says nothing of either. */
  readonly dbPoolBounded: Pool;
  readonly postgresJs: postgres.Sql;
}

const accounts = 10_000;

const tableSql = /* sql */ `
  create table account (id int primary key, name text not null, score int not null);
  insert into account select id, 'account ' || id, id * 7 % 1009 from generate_series(1, ${accounts}) id;
  vacuum (analyze) account`;

/** `sql` runs before any pool is used; `connections` is what every pool may open, 10 by default. */
export async function openAccounts({
  sql = "",
  connections = 10,
}: { readonly sql?: string; readonly connections?: number } = {}): Promise<AccountArena> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster({ settings: { max_connections: 300 } }));
  const version = await fillAccounts(cluster, sql);
  const { url } = cluster.primary;
  const end = (pool: { end(): Promise<void> }): Promise<void> => pool.end();
  const bounds = { queryTimeoutMs: 30_000, slowQueryThresholdMs: 1_000 };
  const dbPools = [{}, {}, bounds].map((more) =>
    stack.adopt(createPool({ primaryUrl: url, max: connections, ...more }), end),
  );
  const pgPools = [0, 1].map(() => stack.adopt(new PgPool({ connectionString: url, max: connections }), end));
  const owned = {
    dbPool: dbPools[0] as Pool,
    dbPoolNamed: dbPools[1] as Pool,
    dbPoolBounded: dbPools[2] as Pool,
    pgNamed: pgPools[0] as PgPool,
    pgUnnamed: pgPools[1] as PgPool,
    postgresJs: stack.adopt(postgres(url, { max: connections, onnotice: () => undefined }), end),
  };
  const kept = stack.move();
  return {
    ...owned,
    postgres: version,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Makes the table, then runs `sql`. @returns `server_version` */
export async function fillAccounts(cluster: Pick<TestCluster, "connect">, sql = ""): Promise<string> {
  const client = await cluster.connect();
  try {
    for (const statement of tableSql.split(";")) await client.query(statement);
    if (sql !== "") await client.query(sql);
    const { rows } = await client.query<{ server_version: string }>("show server_version");
    return rows[0]?.server_version ?? "";
  } finally {
    await client.end();
  }
}

/** The account that a call asks for: the same for every contender, unlike from call to call. */
export function askedAccount(call: number, seed: number): number {
  return (mixSeed(seed, call) % accounts) + 1;
}

/** True for the whole row of the account that was asked for. */
export function isAccount(row: Account | undefined, id: number): boolean {
  return row !== undefined && row.id === id && row.name === `account ${id}` && row.score === (id * 7) % 1009;
}
