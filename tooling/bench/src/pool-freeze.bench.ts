import { createPool } from "@db/pool";
import { startCluster, startFaultProxy } from "@db/testkit";
import type { Arena, Benchmark, Outcome, Run } from "./benchmark.ts";
import { factFigures } from "./figures.ts";

interface Reads {
  readonly failed: number;
  /** Reads answered by the healthy replica after the fault. */
  readonly elsewhere: number;
}

const readers = 20;
/** The bound of a probe: a read on the healthy replica takes a hundredth of it. */
const heldMs = 100;

/** A replica stops answering without closing anything: how long do reads hang on it? */
export const poolFreeze: Benchmark<Arena, Reads> = {
  name: "pool-freeze",
  title: `One of two replicas stops answering under ${readers} readers, probes every 100 ms`,
  cases: [
    { name: "frozen", title: "its processes stopped by SIGSTOP" },
    { name: "blackholed", title: "its network drops everything" },
  ],
  setup: () => Promise.resolve({ postgres: "18", [Symbol.asyncDispose]: () => Promise.resolve() }),
  contenders: [{ name: "db_pool", package: "@db/pool", prepare: (_arena, run) => () => lose(run) }],
  check: (_arena, _run, { answer: { failed, elsewhere } }) =>
    failed === 0 && elsewhere > 0 ? undefined : `${failed} reads failed, ${elsewhere} were answered elsewhere`,
  figures: (measurements) => factFigures(measurements),
};

async function lose({ case: fault }: Run): Promise<Outcome<Reads>> {
  await using cluster = await startCluster({ replicas: 2 });
  const [healthy, ill] = cluster.replicas;
  await using proxy = await startFaultProxy({ target: ill.url });
  await using pool = createPool({
    primaryUrl: cluster.primary.url,
    replicaUrls: [healthy.url, proxy.url(ill.url)],
    probeIntervalMs: 100,
    probeTimeoutMs: 100,
    probeFailureThreshold: 2,
    replicaFallback: "error",
  });
  await pool.start();
  const text = "select current_setting('port')::int as port";
  let lostAt = Infinity;
  let lastHeldMs = 0;
  let elsewhere = 0;
  let failed = 0;
  const over = new AbortController();
  const read = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const began = performance.now();
      try {
        const { rows } = await pool.replica.query<{ port: number }>(text);
        if (rows[0]?.port === healthy.port && began > lostAt) elsewhere += 1;
      } catch {
        failed += 1;
      }
      const ended = performance.now();
      // What took longer than a probe hung on the replica that was lost.
      if (ended > lostAt && ended - began > heldMs) lastHeldMs = Math.max(lastHeldMs, ended - lostAt);
    }
  };
  const running = Array.from({ length: readers }, read);
  await new Promise((resolve) => setTimeout(resolve, 500));
  if (fault === "frozen") await ill.freeze();
  else proxy.blackhole();
  lostAt = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  over.abort();
  await Promise.all(running);
  if (fault === "frozen") await ill.thaw();
  else proxy.pass();
  return { operations: elsewhere, answer: { failed, elsewhere }, facts: { traffic_gone_ms: lastHeldMs } };
}
