import { type ChildProcess, spawn } from "node:child_process";
import { access, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { serverAccount } from "@db/embedded";
import { Client } from "pg";

/** A pgbouncer in front of a server, on a port that stays the same over restarts. */
export interface PgBouncer extends AsyncDisposable {
  readonly port: number;
  /** The same address, through pgbouncer. */
  url(targetUrl: string): string;
  /** Runs a command of its console: `pause`, `resume`. Resolves when pgbouncer has carried it out. */
  command(text: string): Promise<void>;
  /** SIGKILL: every connection through it ends without a word. */
  kill(): Promise<void>;
  /** Starts it again after `kill`. */
  start(): Promise<void>;
}

const program = "/usr/sbin/pgbouncer";

/** @returns what this machine lacks, in words; undefined when nothing */
export async function missingForPgBouncer(): Promise<string | undefined> {
  return await access(program).then(
    () => undefined,
    () => `needs ${program}`,
  );
}

/** Starts pgbouncer in transaction mode with five connections to the server of `targetUrl`. */
export async function startPgBouncer(targetUrl: string): Promise<PgBouncer> {
  const account = await serverAccount();
  const directory = await mkdtemp(path.join(tmpdir(), "pgbouncer-"));
  if (account) await chown(directory, account.uid, account.gid);
  const { hostname, port: targetPort, username, password } = new URL(targetUrl);
  const port = await freePort();
  const users = path.join(directory, "users.txt");
  const file = path.join(directory, "pgbouncer.ini");
  await writeFile(users, `"${username}" "${password}"\n`);
  const settings = [
    "[databases]",
    `* = host=${hostname} port=${targetPort}`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${port}`,
    "unix_socket_dir =",
    "auth_type = trust",
    `auth_file = ${users}`,
    `admin_users = ${username}`,
    "pool_mode = transaction",
    "default_pool_size = 5",
    "ignore_startup_parameters = extra_float_digits",
    "",
  ];
  await writeFile(file, settings.join("\n"));
  const ids = account ? { uid: account.uid, gid: account.gid } : {};
  const bouncer = new LocalPgBouncer({ directory, file, port, username, ids });
  await bouncer.start();
  return bouncer;
}

interface Place {
  readonly directory: string;
  readonly file: string;
  readonly username: string;
  readonly ids: { readonly uid?: number; readonly gid?: number };
}

class LocalPgBouncer implements PgBouncer {
  readonly port: number;
  readonly #of: Place;
  #process: ChildProcess | undefined;
  readonly #end = (): void => void this.#process?.kill("SIGKILL");

  constructor(of: Place & { readonly port: number }) {
    this.port = of.port;
    this.#of = of;
    process.once("exit", this.#end);
  }

  url(targetUrl: string): string {
    const url = new URL(targetUrl);
    url.hostname = "127.0.0.1";
    url.port = String(this.port);
    return url.href;
  }

  async start(): Promise<void> {
    this.#process = spawn(program, [this.#of.file], { stdio: "ignore", ...this.#of.ids });
    for (let attempt = 0; !(await this.#accepts()); attempt += 1) {
      if (attempt === 1_000 || this.#process.exitCode !== null) throw new Error("pgbouncer did not start");
      await sleep(20);
    }
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  async command(text: string): Promise<void> {
    const client = new Client({ host: "127.0.0.1", port: this.port, user: this.#of.username, database: "pgbouncer" });
    await client.connect();
    try {
      await client.query(text);
    } finally {
      await client.end();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off("exit", this.#end);
    await this.kill();
    await rm(this.#of.directory, { recursive: true, force: true });
  }

  #accepts(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, "127.0.0.1");
      socket.once("connect", () => (socket.destroy(), resolve(true)));
      socket.once("error", () => resolve(false));
    });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
