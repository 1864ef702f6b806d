import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { startCluster } from "@db/testkit";
import type { Arena, Benchmark, Contender, Figures, Measurement } from "./benchmark.ts";
import { processorMs } from "./processor-time.ts";
import { median, roundFigure } from "./statistics.ts";

const perSecond = 1_000;
const token = "0123456789abcdef0123456789abcdef";

interface HealthArena extends Arena {
  readonly servers: ReadonlyMap<
    string,
    { readonly url: string; readonly pid: number; readonly token: string | undefined }
  >;
}

/** What the load generator tells, milliseconds from the moment a request was meant to be sent. */
interface Told {
  readonly answered: number;
  readonly errors: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** A thousand health probes a second, sent whether answers come or not, by a process of their own. */
export const healthEndpoint: Benchmark<HealthArena, Told> = {
  name: "health-endpoint",
  title: "/api/health/database at 1,000 requests a second",
  setup: openServers,
  contenders: [contender("db_serve_stranger"), contender("db_serve_details"), contender("bare_node_http")],
  check: (_arena, _run, { answer }) =>
    answer.errors === 0 ? undefined : `${answer.errors} of ${answer.answered} failed`,
  figures: latencyFigures,
};

function contender(name: string): Contender<HealthArena, Told> {
  return {
    name,
    ...(name.startsWith("db_") && { package: "@db/server" }),
    prepare:
      ({ servers }, { quick, round }) =>
      async () => {
        const { url, pid, token: given } = servers.get(name)!;
        // The floor of the machine is known after a few seconds; what is promised is promised for a minute.
        const seconds = quick || round === 0 ? 3 : name === "db_serve_stranger" ? 60 : 15;
        const before = await processorMs(pid);
        const told = await load(url, seconds, given);
        const cpuMs = (await processorMs(pid)) - before;
        const { p50, p95, p99, max, errors } = told;
        return {
          operations: told.answered,
          answer: told,
          facts: { p50_ms: p50, p95_ms: p95, p99_ms: p99, max_ms: max, errors, cpu_share: cpuMs / (seconds * 1_000) },
        };
      },
  };
}

async function load(url: string, seconds: number, given: string | undefined): Promise<Told> {
  const script = fileURLToPath(new URL("http-load.ts", import.meta.url));
  const child = spawn(
    process.execPath,
    [script, url, String(perSecond), String(seconds), ...(given === undefined ? [] : [given])],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  for await (const line of createInterface({ input: child.stdout })) return JSON.parse(line) as Told;
  throw new Error("the load ended without a word");
}

async function openServers(): Promise<HealthArena> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "bench-health-"));
  stack.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const cluster = stack.use(await startCluster({ replicas: 1 }));
  const client = await cluster.connect();
  const { rows } = await client.query<{ version: string }>("select current_setting('server_version') as version");
  await client.end();
  const binary = fileURLToPath(new URL("../../../apps/cli/bin/db.js", import.meta.url));
  const serve = spawn(process.execPath, [binary, "serve", "--port", "0"], {
    cwd: folder,
    env: {
      PATH: process.env["PATH"],
      DATABASE_URL: cluster.primary.url,
      READ_REPLICA_URLS: cluster.replicas[0].url,
      DB_SERVER_TOKENS: token,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  stack.defer(() => end(serve));
  const floor = spawn(
    process.execPath,
    [
      "-e",
      "const s=require('http').createServer({keepAliveTimeout:72000},(q,r)=>r.writeHead(200,{'content-type':'application/health+json'}).end('{\"status\":\"pass\"}'));s.listen(0,'127.0.0.1',()=>console.log('http://127.0.0.1:'+s.address().port))",
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  stack.defer(() => end(floor));
  const url = `${await addressOf(serve)}/api/health/database`;
  const servers = new Map([
    ["db_serve_stranger", { url, pid: serve.pid!, token: undefined }],
    ["db_serve_details", { url, pid: serve.pid!, token }],
    ["bare_node_http", { url: await addressOf(floor), pid: floor.pid!, token: undefined }],
  ]);
  const kept = stack.move();
  return { postgres: rows[0]?.version ?? "", servers, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function addressOf(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const address = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (address !== undefined) return address;
  }
  throw new Error("a server ended before it listened");
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill();
  await ended;
}

function latencyFigures(measurements: readonly Measurement[]): Figures {
  const figures: Record<string, number> = {};
  for (const name of new Set(measurements.map((each) => each.contender))) {
    const of = measurements.filter((each) => each.contender === name);
    for (const fact of Object.keys(of[0]?.facts ?? {})) {
      const values = of.map(({ facts }) => facts[fact] ?? 0);
      figures[`${name}_${fact}`] = roundFigure(
        fact === "errors" ? values.reduce((sum, each) => sum + each, 0) : median(values),
      );
    }
  }
  return figures;
}
