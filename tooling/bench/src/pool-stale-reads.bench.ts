import { createPool, type Pool } from "@db/pool";
import { startCluster } from "@db/testkit";
import type { Arena, Benchmark } from "./benchmark.ts";
import { factFigures } from "./figures.ts";

interface ReplicaArena extends Arena {
  readonly pool: Pool;
  readonly primaryPort: number;
}

const sessions = 20;

/** Each session reads its own write at once, from a replica where it may; one of the two replicas is 500 ms behind. */
export const poolStaleReads: Benchmark<ReplicaArena, { readonly stale: number }> = {
  name: "pool-stale-reads",
  title: "10,000 pairs of a write and its read, one replica prompt, one 500 ms behind",
  setup: openReplicas,
  contenders: [
    {
      name: "db_pool",
      package: "@db/pool",
      prepare:
        ({ pool, primaryPort }, { quick, round }) =>
        async () => {
          const pairs = quick || round === 0 ? 1_000 : 10_000;
          let [next, stale, onReplica] = [0, 0, 0];
          const pair = async (id: number): Promise<void> => {
            const session = pool.session();
            while (next < pairs) {
              const n = (next += 1);
              await session.query("update counter set n = $1 where id = $2", [n, id]);
              const { rows } = await session.query<{ n: number; port: number }>(
                "select n, current_setting('port')::int as port from counter where id = $1",
                [id],
                { target: "replica" },
              );
              if (rows[0]?.n !== n) stale += 1;
              if (rows[0]?.port !== primaryPort) onReplica += 1;
            }
          };
          await Promise.all(Array.from({ length: sessions }, (_, id) => pair(id)));
          return { operations: pairs, answer: { stale }, facts: { stale, replica_share: onReplica / pairs } };
        },
    },
  ],
  check: (_arena, _run, { answer: { stale } }) => (stale === 0 ? undefined : `${stale} stale reads`),
  figures: (measurements) => factFigures(measurements),
};

async function openReplicas(): Promise<ReplicaArena> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster({ replicas: 2 }));
  const [prompt, late] = cluster.replicas;
  const pool = stack.use(
    createPool({ primaryUrl: cluster.primary.url, replicaUrls: [prompt.url, late.url], probeIntervalMs: 50 }),
  );
  await pool.start();
  await pool.query("create table counter (id int primary key, n int)");
  await pool.query("insert into counter select id, 0 from generate_series(0, $1::int - 1) id", [sessions]);
  for (const { connect } of cluster.replicas.map((server) => ({ connect: () => server.connect() }))) {
    const client = await connect();
    for (let there = false; !there;) {
      const { rows } = await client.query<{ t: string | null }>("select to_regclass('counter')::text as t");
      there = rows[0]?.t !== null;
    }
    await client.end();
  }
  await late.reconfigure({ recovery_min_apply_delay: "500ms" });
  const kept = stack.move();
  return { pool, primaryPort: cluster.primary.port, postgres: "18", [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
