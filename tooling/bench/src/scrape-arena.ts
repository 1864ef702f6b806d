import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile, mkdtemp } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { findFreePort } from "@db/embedded";
import { startCluster } from "@db/testkit";
import type { Absence, Arena, SetupContext } from "./benchmark.ts";
import { buildPackages, monitorProcess } from "./built-packages.ts";

/** A server with many tables and statements, and the exporters that watch it. */
export interface ScrapeArena extends Arena {
  readonly postmaster: number;
  readonly url: string;
  readonly tables: number;
  readonly exporters: ReadonlyMap<string, Exporter>;
}

/** A process that answers `/metrics`. */
export interface Exporter {
  readonly pid: number;
  scrape(): Promise<string>;
}

/** Two indexes a table, as most have. */
export const tablesSql = (count: number): string => /* sql */ `
  do $$ begin
    for n in 0..${count - 1} loop
      execute format('create table t%s (id int primary key, a int, b text, c timestamptz default now())', n);
      execute format('create index on t%s (a)', n);
      execute format('insert into t%s select g, g %% 7, ''x'' from generate_series(1, 20) g', n);
    end loop;
  end $$`;

/** Five shapes of statement over every table, with comments as long as real statements are: about 800 bytes. */
const statementsSql = (count: number): string => /* sql */ `
  do $$ declare
    shape text;
    padding text;
    shapes text[] := array[
      'select a from %I where id = 1 and b = ''x''',
      'select count(*), a from %I where a = 3 group by a order by 1 desc',
      'update %I set a = a + 1 where id = 2',
      'select t.a, t.b, t.c from %I t where t.c > now() - interval ''1 day'' and t.a in (1, 2, 3) order by t.id limit 10',
      'insert into %I (id, a, b) values (1000, 1, ''q'') on conflict (id) do nothing'];
  begin
    foreach shape in array shapes loop
      for n in 0..${count - 1} loop
        padding := repeat('a_column_of_it ', (array[2, 10, 30, 60, 120])[1 + n % 5]);
        execute '/* ' || padding || '*/ ' || format(shape, 't' || n);
      end loop;
    end loop;
  end $$`;

const exporterName = "prometheus-postgres-exporter";
/** Debian's own, for tables and statements. */
const debianQueries = "/usr/share/doc/prometheus-postgres-exporter/examples/queries.yaml";

export async function openScrapes({ quick, say }: SetupContext): Promise<ScrapeArena> {
  await using stack = new AsyncDisposableStack();
  const tables = quick ? 200 : 1_000;
  const cluster = stack.use(
    await startCluster({
      // The newest whose statistics Debian's exporter reads.
      version: 15,
      settings: {
        shared_preload_libraries: "pg_stat_statements",
        "pg_stat_statements.max": "10000",
        "pg_stat_statements.track": "all",
        max_locks_per_transaction: "1024",
        autovacuum: "off",
      },
    }),
  );
  const client = await cluster.connect();
  say(`making ${tables} tables and ${tables * 5} statements`);
  await client.query(tablesSql(tables));
  await client.query("create extension pg_stat_statements; select pg_stat_statements_reset()");
  for (let again = 0; again < 3; again++) await client.query(statementsSql(tables));
  await client.query("analyze");
  const { rows } = await client.query<{ version: string }>("select current_setting('server_version') as version");
  await client.end();
  const { url } = cluster.primary;
  const unbuilt = await buildPackages();
  if (unbuilt !== undefined) throw new Error(unbuilt);
  const exporters = new Map<string, Exporter>();
  for (const profile of ["parity", "minute", "default"]) {
    exporters.set(`db_monitor_${profile}`, await startMonitor(url, profile, stack));
  }
  const peer = await startPeer(url, stack).catch((error: unknown) => String(error));
  const absent: Absence[] = [];
  if (typeof peer === "string") absent.push({ contender: "postgres_exporter", reason: peer });
  else exporters.set("postgres_exporter", peer);
  const kept = stack.move();
  return {
    postgres: rows[0]?.version ?? "",
    postmaster: cluster.primary.pid ?? 0,
    url,
    tables,
    exporters,
    absent,
    versions: { postgres_exporter: "Debian's, with its queries.yaml" },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Starts a process that answers scrapes; `monitor-process.ts` says what the profiles are. */
export async function startMonitor(url: string, profile: string, stack: AsyncDisposableStack): Promise<Exporter> {
  const child = spawn(process.execPath, [monitorProcess, url, profile], { stdio: ["ignore", "pipe", "inherit"] });
  stack.defer(() => end(child));
  for await (const line of createInterface({ input: child.stdout })) return exporterOf(child, Number(line));
  throw new Error("the monitor ended before it said its port");
}

async function startPeer(url: string, stack: AsyncDisposableStack): Promise<Exporter> {
  const queries = await readFile(debianQueries, "utf8").catch(() => undefined);
  if (queries === undefined) throw new Error(`${exporterName} of Debian is not installed`);
  const folder = await mkdtemp(join(tmpdir(), "bench-scrape-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  // Its statements are asked for in the words of PostgreSQL 12.
  const mended = queries.replaceAll(/\b(total|min|max|mean|stddev)_time \/ 1000/g, "$1_exec_time / 1000");
  await writeFile(join(folder, "queries.yaml"), mended);
  const port = await findFreePort();
  const child = spawn(
    exporterName,
    [
      `--web.listen-address=127.0.0.1:${port}`,
      `--extend.query-path=${join(folder, "queries.yaml")}`,
      "--log.level=error",
    ],
    {
      env: { PATH: process.env["PATH"], DATA_SOURCE_NAME: `${url}?sslmode=disable` },
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  stack.defer(() => end(child));
  const exporter = exporterOf(child, port);
  for (let attempt = 0; attempt < 100; attempt++) {
    if (child.exitCode !== null) throw new Error(`${exporterName} ended with ${child.exitCode}`);
    const answer = await exporter.scrape().catch(() => undefined);
    if (answer !== undefined) return exporter;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${exporterName} does not answer`);
}

function exporterOf(child: ChildProcess, port: number): Exporter {
  return {
    pid: child.pid ?? 0,
    scrape: () =>
      new Promise((resolve, reject) => {
        get({ host: "127.0.0.1", port, path: "/metrics", headers: { "accept-encoding": "identity" } }, (response) => {
          const parts: Buffer[] = [];
          response.on("data", (part: Buffer) => parts.push(part));
          response.on("error", reject);
          response.on("end", () => {
            const text = Buffer.concat(parts).toString();
            if (response.statusCode === 200) resolve(text);
            else reject(new Error(`/metrics answered ${response.statusCode}: ${text.slice(0, 200)}`));
          });
        }).on("error", reject);
      }),
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill();
  await ended;
}
