import { createPool, type Pool } from "@db/pool";
import { startCluster } from "@db/testkit";
import { Pool as PgPool } from "pg";
import type { Arena, Benchmark, Contender } from "./benchmark.ts";
import { throughputFigures } from "./figures.ts";

interface AcquireArena extends Arena {
  readonly dbPool: Pool;
  readonly pg: PgPool;
}

const max = 10;

/** What it costs to take a connection and give it back while nothing is wrong and everything that watches is on. */
export const poolAcquire: Benchmark<AcquireArena, { readonly distinct: number }> = {
  name: "pool-acquire",
  title: "A connection taken and given back, probes, breaker, retries and time-outs on",
  setup: openPools,
  contenders: [contender("db_pool", "@db/pool", ({ dbPool }) => dbPool), contender("pg", "pg", ({ pg }) => pg)],
  // One caller needs one connection; who makes more of them measures something else.
  check: (_arena, _run, { answer }) => (answer.distinct === 1 ? undefined : `${answer.distinct} connections lent`),
  figures: (measurements) => throughputFigures(measurements, "db_pool"),
};

function contender(
  name: string,
  from: string,
  of: (arena: AcquireArena) => PgPool,
): Contender<AcquireArena, { readonly distinct: number }> {
  return {
    name,
    package: from,
    prepare: async (arena, { quick }) => {
      const pool = of(arena);
      await pool.query("select 1");
      const operations = quick ? 50_000 : 200_000;
      return async () => {
        const lent = new Set<number>();
        for (let turn = 0; turn < operations; turn += 1) {
          const client = await pool.connect();
          // The server's process is the connection: a borrower may have a handle of their own. Asking costs, so now and then.
          if (turn % 64 === 0) lent.add((client as unknown as { readonly processID: number }).processID);
          client.release();
        }
        return { operations, answer: { distinct: lent.size } };
      };
    },
  };
}

async function openPools(): Promise<AcquireArena> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster());
  const { url } = cluster.primary;
  const end = (pool: { end(): Promise<void> }): Promise<void> => pool.end();
  const client = await cluster.connect();
  const { rows } = await client.query<{ server_version: string }>("show server_version");
  await client.end();
  const dbPool = stack.adopt(
    createPool({ primaryUrl: url, max, queryTimeoutMs: 30_000, slowQueryThresholdMs: 1_000 }),
    end,
  );
  await dbPool.start();
  const pg = stack.adopt(new PgPool({ connectionString: url, max }), end);
  const kept = stack.move();
  return { dbPool, pg, postgres: rows[0]?.server_version ?? "", [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
