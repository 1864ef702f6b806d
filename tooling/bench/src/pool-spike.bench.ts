import { createPool, type Pool } from "@db/pool";
import { startCluster } from "@db/testkit";
import { Pool as PgPool } from "pg";
import type { Arena, Benchmark, Contender } from "./benchmark.ts";
import { timeFigures } from "./figures.ts";
import { openSlowDoor, type SlowDoor } from "./slow-door.ts";

interface SpikeArena extends Arena {
  /** The server through a network on which every connection takes 150 ms longer to make. */
  readonly url: string;
  readonly door: SlowDoor;
}

interface Spike {
  readonly right: number;
}

const requests = 50;
const warm = 5;
const connectMs = 150;
const text = "select $1::int as n, pg_sleep(0.002)";

/**
 * Fifty requests at once meet five warm connections. HikariCP's question: how many connections does a pool open that
 * nobody needed by the time they were there?
 * @see https://github.com/brettwooldridge/HikariCP/blob/dev/documents/Welcome-To-The-Jungle.md
 */
export const poolSpike: Benchmark<SpikeArena, Spike> = {
  name: "pool-spike",
  title: `${requests} requests at once, ${warm} warm connections, ${connectMs} ms to connect`,
  setup: openSlowly,
  contenders: [
    contender("db_pool", "@db/pool", (url) =>
      createPool({ primaryUrl: url, max: requests, min: warm, probeIntervalMs: false }),
    ),
    contender("pg", "pg", (url) => new PgPool({ connectionString: url, max: requests, min: warm })),
  ],
  check: (_arena, _run, { answer }) => (answer.right === requests ? undefined : `${requests - answer.right} requests`),
  figures: (measurements) => timeFigures(measurements, "db_pool"),
};

function contender(name: string, from: string, open: (url: string) => Pool | PgPool): Contender<SpikeArena, Spike> {
  return {
    name,
    package: from,
    prepare: async ({ url, door }) => {
      const pool = open(url);
      const held = await Promise.all(Array.from({ length: warm }, () => pool.connect()));
      for (const client of held) client.release();
      const before = door.accepted;
      return async () => {
        const began = performance.now();
        const ask = async (n: number): Promise<boolean> => {
          const { rows } = await pool.query<{ n: number }>(text, [n]);
          return rows.length === 1 && rows[0]?.n === n;
        };
        const answers = await Promise.all(Array.from({ length: requests }, (_, n) => ask(n)));
        const answeredMs = performance.now() - began;
        // Those nobody waited for are made all the same.
        await pool.end();
        const right = answers.filter(Boolean).length;
        const facts = { opened: door.accepted - before, answered_ms: answeredMs };
        return { operations: requests, answer: { right }, facts };
      };
    },
  };
}

async function openSlowly(): Promise<SpikeArena> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster({ settings: { max_connections: 150 } }));
  const { hostname, port } = new URL(cluster.primary.url);
  const door = stack.use(await openSlowDoor({ host: hostname, port: Number(port) }, connectMs));
  const url = new URL(cluster.primary.url);
  url.port = String(door.port);
  const client = await cluster.connect();
  const { rows } = await client.query<{ server_version: string }>("show server_version");
  await client.end();
  const kept = stack.move();
  return {
    url: url.href,
    door,
    postgres: rows[0]?.server_version ?? "",
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
