import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { get } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { startCluster } from "@db/testkit";
import type { Absence, Arena, Benchmark, Contender, Figures, Measurement, SetupContext } from "./benchmark.ts";
import { pgbenchVersion } from "./pgbench-writers.ts";
import { median, roundFigure } from "./statistics.ts";

interface CostArena extends Arena {
  readonly url: string;
  readonly port: number;
}

/** What scrapes every second take from an application's transactions. */
export const monitorCost: Benchmark<CostArena, number> = {
  name: "monitor-cost",
  title: "pgbench, 8 clients, with a scrape of the server every second and without",
  setup: openCost,
  contenders: [contender("unwatched", false), contender("db_monitor", true)],
  check: (_arena, _run, { answer }) => (answer > 0 ? undefined : "pgbench did nothing"),
  figures: costFigures,
};

async function openCost({ quick, say }: SetupContext): Promise<CostArena> {
  await using stack = new AsyncDisposableStack();
  const absent: Absence[] = [];
  const version = pgbenchVersion();
  if (version === undefined) {
    for (const name of ["unwatched", "db_monitor"])
      absent.push({ contender: name, reason: "pgbench is not installed" });
  }
  const cluster = stack.use(
    await startCluster({ settings: { shared_preload_libraries: "pg_stat_statements", shared_buffers: "256MB" } }),
  );
  const client = await cluster.connect();
  await client.query("create extension pg_stat_statements");
  const { rows } = await client.query<{ version: string }>("select current_setting('server_version') as version");
  await client.end();
  const { url } = cluster.primary;
  if (version !== undefined) {
    say("filling the tables of pgbench");
    spawnSync("pgbench", ["-i", "-q", "-s", quick ? "2" : "10", url], { stdio: "ignore" });
  }
  const script = fileURLToPath(new URL("monitor-process.ts", import.meta.url));
  const child = spawn(process.execPath, ["--conditions=@db/source", script, url, "clock"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  stack.defer(() => end(child));
  let port = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    port = Number(line);
    break;
  }
  const kept = stack.move();
  return {
    postgres: rows[0]?.version ?? "",
    url,
    port,
    absent,
    versions: { unwatched: version ?? "" },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function contender(name: string, watched: boolean): Contender<CostArena, number> {
  return {
    name,
    ...(watched && { package: "@db/monitor" }),
    prepare:
      ({ url, port }, { quick }) =>
      async () => {
        let scrapes = 0;
        const scraping = watched
          ? setInterval(() => {
              scrapes += 1;
              get({ host: "127.0.0.1", port, path: "/metrics" }, (response) => response.resume()).on(
                "error",
                () => undefined,
              );
            }, 1_000)
          : undefined;
        const done = await run("pgbench", ["-n", "-c", "8", "-j", "1", "-T", quick ? "4" : "10", url]);
        clearInterval(scraping);
        const perSecond = Number(/^tps = ([\d.]+)/m.exec(done)?.[1] ?? 0);
        const transactions = Number(/^number of transactions actually processed: (\d+)/m.exec(done)?.[1] ?? 0);
        return { operations: transactions, answer: perSecond, facts: { tps: perSecond, scrapes } };
      },
  };
}

/** Transactions a second with scrapes against without, the median over the rounds of the share within a round. */
function costFigures(measurements: readonly Measurement[]): Figures {
  const of = (name: string): readonly Measurement[] => measurements.filter(({ contender: each }) => each === name);
  const shares = of("db_monitor").map(({ round, facts }) => {
    const alone = of("unwatched").find((each) => each.round === round);
    return 1 - (facts["tps"] ?? 0) / (alone?.facts["tps"] ?? Number.NaN);
  });
  return {
    tps_lost_ratio: roundFigure(median(shares)),
    tps_lost_ratio_min: roundFigure(Math.min(...shares)),
    tps_lost_ratio_max: roundFigure(Math.max(...shares)),
    unwatched_tps: roundFigure(median(of("unwatched").map(({ facts }) => facts["tps"] ?? 0))),
    db_monitor_tps: roundFigure(median(of("db_monitor").map(({ facts }) => facts["tps"] ?? 0))),
  };
}

async function run(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => (text += part));
  await once(child, "close");
  return text;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill();
  await ended;
}
