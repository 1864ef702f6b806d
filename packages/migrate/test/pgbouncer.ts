import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";

/** A PgBouncer of this machine in front of a server. */
export interface Pgbouncer extends AsyncDisposable {
  /** The same database through it. */
  readonly url: string;
}

/** Whether PgBouncer is installed; a test without it says so. */
export const hasPgbouncer: boolean = spawnSync("pgbouncer", ["--version"]).status === 0;
if (!hasPgbouncer) process.stderr.write("skipped: pgbouncer is not installed (Debian: apt-get install pgbouncer)\n");

/** Starts PgBouncer in front of the database of a URL. */
export async function startPgbouncer(target: string, mode: "session" | "transaction"): Promise<Pgbouncer> {
  const { hostname, port, username, password, pathname } = new URL(target);
  const directory = await mkdtemp(join(tmpdir(), "pgbouncer-"));
  await chmod(directory, 0o777);
  const listenPort = await freePort();
  const ini = [
    "[databases]",
    `* = host=${hostname} port=${port}${password === "" ? "" : ` password=${decodeURIComponent(password)}`}`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${listenPort}`,
    "unix_socket_dir =",
    "auth_type = any",
    `pool_mode = ${mode}`,
    "default_pool_size = 4",
    "max_client_conn = 100",
    "ignore_startup_parameters = extra_float_digits",
    ...(mode === "session" ? ["server_reset_query = discard all"] : []),
  ];
  // auth_type = any forwards as the user named here.
  ini[1] = `${ini[1]} user=${decodeURIComponent(username)}`;
  await writeFile(join(directory, "pgbouncer.ini"), `${ini.join("\n")}\n`, { mode: 0o644 });
  // It refuses root.
  const account = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const child: ChildProcess = spawn("pgbouncer", ["-q", join(directory, "pgbouncer.ini")], {
    ...account,
    stdio: "ignore",
  });
  const url = `postgres://${username}@127.0.0.1:${listenPort}${pathname}`;
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    }
    await rm(directory, { recursive: true, force: true });
  };
  for (;;) {
    const client = new Client({ connectionString: url });
    try {
      await client.connect();
      await client.end();
      return { url, [Symbol.asyncDispose]: stop };
    } catch (error) {
      if (child.exitCode !== null || (error as { code?: string }).code !== "ECONNREFUSED") {
        await stop();
        throw error;
      }
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
