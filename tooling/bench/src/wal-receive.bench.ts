import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createWalReceiver, findWalHoles, listWal, openRepository, type WalReceiver } from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import type { Arena, Benchmark, Contender, SetupContext } from "./benchmark.ts";
import { median, roundFigure } from "./statistics.ts";

interface ReceiveArena extends Arena {
  readonly cluster: TestCluster<0>;
  readonly directory: string;
}

/** What the archive must hold at the end. */
interface Received {
  readonly receiver: WalReceiver;
  readonly location: string;
}

const clients = 8;

/** Eight clients as pgbench's: does the archive keep up, and how much would a lost server take along? */
export const walReceive: Benchmark<ReceiveArena, Received> = {
  name: "wal-receive",
  title: "receiving WAL under 8 clients of the TPC-B kind, encrypted, zstd 1",
  setup: openReceive,
  contenders: [receiving("db_wal_receive", 2_000), receiving("db_wal_receive_tail_500ms", 500)],
  async check(_arena, _run, { answer: { receiver, location } }) {
    const { gaps, systemIdentifier } = receiver.status();
    await receiver.stop();
    const listing = await listWal(await openRepository(location), systemIdentifier!);
    const holes = findWalHoles(listing, 16 * 1024 * 1024);
    return gaps.length + holes.length === 0 ? undefined : `${gaps.length} gaps and ${holes.length} holes`;
  },
  figures: (measurements) => {
    const figures: Record<string, number> = {};
    const contenders = new Set(measurements.map(({ contender }) => contender));
    for (const contender of contenders) {
      const runs = measurements.filter((run) => run.contender === contender);
      for (const fact of Object.keys(runs[0]!.facts)) {
        figures[`${contender}_${fact}`] = roundFigure(median(runs.map(({ facts }) => facts[fact]!)));
      }
      figures[`${contender}_worst_rpo_ms`] = Math.max(...runs.map(({ facts }) => facts["rpo_max_ms"]!));
    }
    return figures;
  },
};

async function openReceive({ say }: SetupContext): Promise<ReceiveArena> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startCluster({ settings: { max_wal_size: "4GB", max_connections: 40 } }));
  const directory = await mkdtemp(join(tmpdir(), "bench-receive-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const client = await cluster.connect();
  say("making accounts, tellers and branches");
  await client.query("create table account (id int primary key, balance int, filler char(84))");
  await client.query("insert into account select n, 0, '' from generate_series(1, 500000) n");
  await client.query("create table teller (id int primary key, balance int, filler char(84))");
  await client.query("insert into teller select n, 0, '' from generate_series(1, 50) n");
  await client.query("create table history (teller int, account int, delta int, at timestamptz, filler char(22))");
  const { rows } = await client.query<{ version: string }>("select current_setting('server_version') as version");
  await client.end();
  const kept = stack.move();
  return { cluster, directory, postgres: rows[0]!.version, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

function receiving(name: string, tailIntervalMs: number): Contender<ReceiveArena, Received> {
  return {
    name,
    package: "@db/backup",
    async prepare({ cluster, directory }, run) {
      const location = join(directory, `${name}-${run.round}`);
      const repository = await openRepository(location, { encryptionKey: "ab".repeat(32) });
      const spoolDirectory = `${location}-spool`;
      const slot = `${name}_${run.round}`;
      const receiver = createWalReceiver({
        url: cluster.primary.url,
        repository,
        slot,
        tailIntervalMs,
        spoolDirectory,
      });
      await receiver.start(AbortSignal.timeout(30_000));
      return async () => {
        const load = startLoad(cluster);
        const samples: { readonly rpoMs: number; readonly lagBytes: number; readonly waiting: number }[] = [];
        const began = performance.now();
        const end = began + (run.quick || run.round === 0 ? 10_000 : 20_000);
        while (performance.now() < end) {
          await sleep(100);
          const { coveredUntil, lagBytes, waitingSegments } = receiver.status();
          // The server's clock is this machine's: what was committed since is what a lost server takes along.
          if (coveredUntil === null) continue;
          samples.push({
            rpoMs: Date.now() - Date.parse(coveredUntil),
            lagBytes: lagBytes ?? 0,
            waiting: waitingSegments,
          });
        }
        const { transactions, walBytes } = await load.stop();
        // From a second look on: the first moments are those of a receiver that has just begun.
        const steady = samples.slice(20);
        const half = Math.floor(steady.length / 2);
        const of = (part: typeof steady, get: (sample: (typeof steady)[number]) => number): number =>
          median(part.map(get));
        return {
          operations: transactions,
          answer: { receiver, location },
          facts: {
            tps: Math.round((transactions * 1_000) / (performance.now() - began)),
            wal_mb: Math.round(walBytes / 1024 ** 2),
            rpo_median_ms: of(steady, ({ rpoMs }) => rpoMs),
            rpo_max_ms: Math.max(...steady.map(({ rpoMs }) => rpoMs)),
            waiting_segments_max: Math.max(...steady.map(({ waiting }) => waiting)),
            lag_first_half_mb: of(steady.slice(0, half), ({ lagBytes }) => lagBytes) / 1024 ** 2,
            lag_second_half_mb: of(steady.slice(half), ({ lagBytes }) => lagBytes) / 1024 ** 2,
          },
        };
      };
    },
  };
}

/** pgbench's own transaction from as many connections; it runs until it is stopped. */
function startLoad(cluster: TestCluster<0>): { stop(): Promise<{ transactions: number; walBytes: number }> } {
  let transactions = 0;
  const stopped = new AbortController();
  const began = cluster.connect().then(async (client) => {
    const { rows } = await client.query<{ lsn: string }>("select pg_current_wal_insert_lsn()::text as lsn");
    return { client, lsn: rows[0]!.lsn };
  });
  const workers = Array.from({ length: clients }, async (_, index) => {
    const client = await cluster.connect();
    for (let n = 1; !stopped.signal.aborted; n++) {
      const account = ((n * 7_919 + index * 104_729) % 500_000) + 1;
      const teller = ((n + index * 6) % 50) + 1;
      await client.query(
        `begin; update account set balance = balance + 1 where id = ${account}; select balance from account where id = ${account};
         update teller set balance = balance + 1 where id = ${teller};
         insert into history values (${teller}, ${account}, 1, now(), ''); commit`,
      );
      transactions++;
    }
    await client.end();
  });
  return {
    stop: async () => {
      stopped.abort();
      await Promise.all(workers);
      const { client, lsn } = await began;
      const { rows } = await client.query<{ bytes: number }>(
        "select (pg_current_wal_insert_lsn() - $1::pg_lsn)::float8 as bytes",
        [lsn],
      );
      await client.end();
      return { transactions, walBytes: rows[0]!.bytes };
    },
  };
}
