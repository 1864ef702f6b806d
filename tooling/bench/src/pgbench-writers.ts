import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";

/** What writers saw until they were stopped. */
export interface WriterTally {
  readonly transactions: number;
  /** The longest any transaction took. */
  readonly longestUs: number;
}

/** Four clients of pgbench, each updating one row after another and now and then inserting one. */
export interface Writers {
  stop(): Promise<WriterTally>;
}

/** The version of pgbench on this machine; undefined without it. */
export function pgbenchVersion(): string | undefined {
  const { status, stdout } = spawnSync("pgbench", ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

const clients = 4;

/** Starts them, and waits until they write. */
export async function startWriters(url: string, rows: number): Promise<Writers> {
  const directory = await mkdtemp(join(tmpdir(), "bench-writers-"));
  const script = join(directory, "write.sql");
  const insert = join(directory, "insert.sql");
  await writeFile(script, `\\set id random(1, ${rows})\nupdate account set balance = balance + 1 where id = :id;\n`);
  await writeFile(
    insert,
    "insert into account values ((random() * 1e15)::bigint + 1000000000, 1) on conflict do nothing;\n",
  );
  const flags = ["-n", "-c", String(clients), "-j", "1", "-T", "3600", "-l", "--aggregate-interval=1"];
  const scripts = ["-f", `${script}@20`, "-f", `${insert}@1`];
  const child = spawn("pgbench", [...flags, "--log-prefix", join(directory, "log"), ...scripts, url], {
    stdio: "ignore",
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const watcher = new Client({ connectionString: url });
  await watcher.connect();
  const count =
    "select count(*)::int as n from pg_stat_activity where application_name = 'pgbench' and query ~ 'account'";
  while ((await watcher.query<{ n: number }>(count)).rows[0]?.n !== clients && child.exitCode === null);
  return {
    async stop() {
      // A pgbench that is killed loses what it has not written; one whose connections end writes it and stops.
      await watcher.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgbench'");
      await ended;
      await watcher.end();
      const logs = (await readdir(directory)).filter((name) => name.startsWith("log"));
      const lines = (await Promise.all(logs.map((name) => readFile(join(directory, name), "utf8"))))
        .flatMap((text) => text.split("\n"))
        .filter((line) => line !== "")
        .map((line) => line.split(" ").map(Number));
      await rm(directory, { recursive: true, force: true });
      return {
        transactions: lines.reduce((sum, [, number = 0]) => sum + number, 0),
        longestUs: Math.max(0, ...lines.map(([, , , , , longest = 0]) => longest)),
      };
    },
  };
}
