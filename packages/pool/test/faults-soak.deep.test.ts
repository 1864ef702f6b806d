import { createPool, type PoolOptions } from "@db/pool";
import { type FaultProxy, startCluster, startFaultProxy, type TestCluster } from "@db/testkit";
import { expect, onTestFinished, test } from "vitest";
import { Writers } from "./writers.ts";

// The run can be repeated with its seed; what the machine does in between cannot.
const seed = Number(process.env["POOL_SOAK_SEED"] ?? Date.now() % 1_000_000);
const lengthMs = Number(process.env["POOL_SOAK_SECONDS"] ?? 180) * 1_000;

const options: Partial<PoolOptions> = {
  applicationName: "soak",
  max: 8,
  acquireTimeoutMs: 2_000,
  connectTimeoutMs: 1_000,
  cancelTimeoutMs: 300,
  queryTimeoutMs: 2_000,
  probeIntervalMs: 100,
  probeTimeoutMs: 300,
  retry: { retries: 5, maxDelayMs: 200, budgetReserve: 200 },
  circuitBreaker: { resetMs: 200 },
};

/** mulberry32: the same numbers for the same seed. */
function randomOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Everything that can go wrong between the pool and its server; each ends with the way free again. */
function faultsOf(
  cluster: Pick<TestCluster, "connect" | "primary">,
  proxy: FaultProxy,
  random: () => number,
): Record<string, () => Promise<void>> {
  const backend = async (signal: (pid: number) => void): Promise<void> => {
    const observer = await cluster.connect();
    try {
      const sql = "select pid from pg_stat_activity where application_name = 'soak' order by random() limit 1";
      const { rows } = await observer.query<{ pid: number }>(sql);
      if (rows[0]) signal(rows[0].pid);
    } finally {
      await observer.end();
    }
  };
  const during = async (begin: () => void): Promise<void> => {
    begin();
    await pause(50 + random() * 1_500);
    proxy.pass();
  };
  return {
    reset: () => during(() => proxy.reset()),
    blackhole: () => during(() => proxy.blackhole()),
    "blackhole to the client": () => during(() => proxy.blackhole("toClient")),
    delay: () => during(() => proxy.delay(20 + random() * 200)),
    trickle: () => during(() => proxy.trickle(2_000)),
    garbage: () => during(() => proxy.garbage("toClient")),
    "half close": async () => proxy.halfClose(),
    refuse: async () => {
      await proxy.refuse();
      await pause(random() * 1_000);
      await proxy.accept();
    },
    terminate: async () => {
      const observer = await cluster.connect();
      await observer.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'soak' and random() < 0.5",
      );
      await observer.end();
    },
    "kill a backend": () => backend((pid) => process.kill(pid, "SIGKILL")),
    "freeze the server": async () => {
      await cluster.primary.freeze();
      await pause(random() * 1_500);
      await cluster.primary.thaw();
    },
    "restart the server": () => cluster.primary.restart(),
    "kill the server": async () => {
      await cluster.primary.kill();
      await cluster.primary.start();
    },
  };
}

test(`keeps its promises under random faults (POOL_SOAK_SEED=${seed})`, { timeout: lengthMs + 300_000 }, async () => {
  const cluster = await startCluster({ version: 18 });
  onTestFinished(() => cluster.stop());
  const proxy = await startFaultProxy({ target: cluster.primary.url });
  onTestFinished(() => proxy.stop());
  const pool = createPool({ primaryUrl: proxy.url(cluster.primary.url), ...options });
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", note);
  onTestFinished(() => void process.off("unhandledRejection", note));
  await pool.query("create table op (id int); create table pair (id int, half int)");
  // Read like any other, and beyond its bound now and then: it is cancelled beside those that share its connection.
  await pool.query(`create function doze(ms int) returns int language plpgsql as
    'begin perform pg_sleep(ms / 1000.0); return ms; end'`);

  const stop = new AbortController();
  const late: string[] = [];
  const crowded: number[] = [];
  const halves: number[] = [];
  const wrong: unknown[] = [];
  let transactions = 0;
  /** Runs work again and again; what it does may fail, but not take longer than its bounds add up to. */
  const keep = async (what: string, boundMs: number, work: (n: number) => Promise<unknown>): Promise<void> => {
    for (let n = 0; !stop.signal.aborted; n += 1) {
      const began = performance.now();
      await work(n).catch(() => pause(10));
      const tookMs = performance.now() - began;
      if (tookMs > boundMs) late.push(`${what}: ${Math.round(tookMs)} ms`);
      if (pool.totalCount > options.max!) crowded.push(pool.totalCount);
      await pause(1);
    }
  };
  // Six attempts of at most acquire + statement + cancel, and the waits between; far above it is a hang.
  const boundMs = 6 * (2_000 + 2_000 + 300) + 1_000 + 5_000;
  const writers = new Writers(pool, "op", 6);
  const workers = [
    ...Array.from({ length: 6 }, () =>
      keep("read", boundMs, async (n) => {
        const { rows } = await pool.query<{ n: number }>("select $1::int as n", [n]);
        if (rows[0]?.n !== n) wrong.push({ expected: n, rows });
      }),
    ),
    ...Array.from({ length: 3 }, (_, worker) =>
      keep("transaction", 4 * boundMs, async (n) => {
        const id = worker * 1_000_000 + n;
        await pool.withTransaction(async (tx) => {
          await tx.query("insert into pair values ($1, 1)", [id]);
          await tx.query("insert into pair values ($1, 2)", [id]);
        });
        halves.push(id);
        transactions += 1;
      }),
    ),
    ...Array.from({ length: 2 }, () =>
      keep("doze", boundMs, async () => {
        const ms = Math.random() < 0.02 ? 2_500 : 0;
        const { rows } = await pool.query<{ ms: number }>("select doze($1) as ms", [ms]);
        if (rows[0]?.ms !== ms) wrong.push({ expected: ms, rows });
      }),
    ),
    ...Array.from({ length: 2 }, () =>
      keep("given up", boundMs, async (n) => {
        const signal = AbortSignal.timeout(Math.random() * 50);
        const sql = n % 2 === 0 ? "select $1::int as n" : "select $1::int as n from pg_sleep(0.02)";
        const { rows } = await pool.query<{ n: number }>(sql, [n], { signal, priority: "low" });
        if (rows[0]?.n !== n) wrong.push({ expected: n, rows });
      }),
    ),
    keep("used after release", boundMs, async () => {
      const client = await pool.connect();
      client.release();
      // Whoever has its connection by now is in a transaction, which this would end.
      const mistaken = await client.query("rollback").catch((error: { code?: string }) => error);
      if ((mistaken as { code?: string }).code !== "POOL_SESSION_ENDED") wrong.push(mistaken);
    }),
    keep("checkout", boundMs, async () => {
      const client = await pool.connect();
      try {
        await client.query("begin");
        await client.query("select 1");
      } finally {
        // As a careless borrower does, in the middle of its transaction.
        client.release();
      }
    }),
  ];
  const random = randomOf(seed);
  const faults = Object.entries(faultsOf(cluster, proxy, random));
  const counts: Record<string, number> = {};
  const ends = performance.now() + lengthMs;
  while (performance.now() < ends) {
    const [name, fault] = faults[Math.floor(random() * faults.length)]!;
    counts[name] = (counts[name] ?? 0) + 1;
    await fault();
    await pause(random() * 1_000);
  }
  await writers.resume();
  stop.abort();
  await Promise.all([...workers, writers.stop()]);

  await writers.check(pool);
  const { rows } = await pool.query<{ id: number; n: number }>("select id, count(*)::int as n from pair group by id");
  const times = new Map(rows.map(({ id, n }) => [id, n]));
  expect(rows.filter(({ n }) => n !== 2)).toEqual([]);
  expect(halves.filter((id) => times.get(id) !== 2)).toEqual([]);
  expect({ late, crowded, wrong, unhandled }).toEqual({ late: [], crowded: [], wrong: [], unhandled: [] });
  expect(pool.stats()).toMatchObject({ checkedOut: 0, waiting: 0 });
  console.info("soak", { seed, counts, transactions, ...writers.summary, retries: pool.stats().retries });
  await pool.drain();
  const observer = await cluster.connect();
  const left = "select pid, state, query from pg_stat_activity where application_name = 'soak'";
  await expect.poll(async () => (await observer.query(left)).rows, { timeout: 20_000 }).toEqual([]);
  await observer.end();
});
