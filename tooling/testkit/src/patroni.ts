import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { access, chown, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Account, serverAccount } from "@db/embedded";

/** One member of a Patroni cluster: an agent and the PostgreSQL it runs. */
export interface PatroniNode {
  readonly name: string;
  readonly url: string;
  readonly port: number;
  /** Of its agent: `http://127.0.0.1:PORT`. */
  readonly restUrl: string;
  /** SIGKILL to the agent and to every process of its server. */
  kill(): Promise<void>;
  /** Starts the agent again, which brings the server back as a standby. */
  restart(): void;
  /** The agent and every process of its server stop in their tracks. */
  freeze(): Promise<void>;
  thaw(): void;
}

/** Three servers on this machine under Patroni, with etcd, and haproxy in front of the leader. */
export interface PatroniCluster extends AsyncDisposable {
  readonly nodes: readonly PatroniNode[];
  /** Every node in one URL. */
  readonly url: string;
  /** haproxy's port, which leads to whichever node Patroni calls its leader. */
  readonly proxyUrl: string;
  /** The node that says it is the leader and holds the lock, once there is one. */
  leader(): Promise<PatroniNode>;
  /** Resolves when two standbys stream from the leader, one of them synchronously. */
  healthy(): Promise<void>;
  /** Asks Patroni for a planned change of the leader. */
  switchover(): Promise<void>;
}

const programs = ["/usr/bin/etcd", "/usr/bin/patroni", "/usr/sbin/haproxy"];
const password = "postgres";
const patienceMs = 120_000;

/** @returns what this machine lacks for a Patroni cluster, in words; undefined when nothing */
export async function missingForPatroni(): Promise<string | undefined> {
  const binaries = await serverBinaries();
  const missing: string[] = binaries === undefined ? ["/usr/lib/postgresql/*/bin/postgres"] : [];
  for (const program of programs) {
    await access(program).catch(() => missing.push(program));
  }
  return missing.length === 0 ? undefined : `needs ${missing.join(", ")}`;
}

/** Starts etcd, three nodes and haproxy; takes some ten seconds. Every process ends with `dispose` or with this one. */
export async function startPatroni(): Promise<PatroniCluster> {
  const account = await serverAccount();
  const directory = await mkdtemp(path.join(tmpdir(), "patroni-"));
  if (account) await chown(directory, account.uid, account.gid);
  const cluster = new LocalPatroni(directory, account);
  try {
    await cluster.start();
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return cluster;
}

class LocalPatroni implements PatroniCluster {
  readonly nodes: LocalNode[] = [];
  readonly #directory: string;
  readonly #account: Account | undefined;
  readonly #children: ChildProcess[] = [];
  #proxyPort = 0;
  #ended = false;
  readonly #endAll = (): void => this.#kill();

  constructor(directory: string, account: Account | undefined) {
    this.#directory = directory;
    this.#account = account;
    process.once("exit", this.#endAll);
  }

  get url(): string {
    const hosts = this.nodes.map(({ port }) => `127.0.0.1:${port}`).join(",");
    return `postgres://postgres:${password}@${hosts}/postgres`;
  }
  get proxyUrl(): string {
    return `postgres://postgres:${password}@127.0.0.1:${this.#proxyPort}/postgres`;
  }

  async start(): Promise<void> {
    const [client, peer, proxy, ...ports] = await freePorts(9);
    this.#proxyPort = proxy!;
    const bin = (await serverBinaries())!;
    const etcd = `http://127.0.0.1:${client}`;
    const peerUrl = `http://127.0.0.1:${peer}`;
    const flags = {
      "data-dir": path.join(this.#directory, "etcd"),
      "listen-client-urls": etcd,
      "advertise-client-urls": etcd,
      "listen-peer-urls": peerUrl,
      "initial-advertise-peer-urls": peerUrl,
      "initial-cluster": `default=${peerUrl}`,
    };
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    this.run("/usr/bin/etcd", [...args, "--unsafe-no-fsync"]);
    await until("etcd to answer", async () => (await fetch(`${etcd}/health`)).ok);
    for (let index = 0; index < 3; index += 1) {
      const [port, rest] = [ports[2 * index]!, ports[2 * index + 1]!];
      const name = `node${index + 1}`;
      const file = path.join(this.#directory, `${name}.yml`);
      await writeFile(file, configuration({ name, port, rest, etcdPort: client!, bin, directory: this.#directory }));
      this.nodes.push(new LocalNode(this, name, { port, rest, file, data: path.join(this.#directory, name) }));
    }
    // One makes the cluster, the others copy it.
    this.nodes[0]!.restart();
    await this.leader();
    this.nodes[1]!.restart();
    this.nodes[2]!.restart();
    const servers = this.nodes.map(
      ({ name, port, rest }) => `  server ${name} 127.0.0.1:${port} check port ${rest} inter 200 fall 2 rise 1`,
    );
    const file = path.join(this.#directory, "haproxy.cfg");
    await writeFile(file, [...haproxyHead(this.#proxyPort), ...servers, ""].join("\n"));
    this.run("/usr/sbin/haproxy", ["-db", "-f", file]);
    await this.healthy();
  }

  run(program: string, args: readonly string[]): ChildProcess {
    // A test that was cut short may still be on its way.
    if (this.#ended) throw new Error("the Patroni cluster has ended");
    const { uid, gid } = this.#account ?? {};
    const child = spawn(program, args, {
      cwd: this.#directory,
      stdio: "ignore",
      env: { ...process.env, HOME: this.#directory, PGPASSFILE: path.join(this.#directory, "pgpass") },
      ...(uid === undefined ? {} : { uid, gid }),
    });
    child.on("error", () => undefined);
    this.#children.push(child);
    return child;
  }

  async leader(): Promise<PatroniNode> {
    let found: PatroniNode | undefined;
    await until("a leader", async () => {
      for (const node of this.nodes) if (await node.says("/primary")) found = node;
      return found !== undefined;
    });
    return found!;
  }

  async healthy(): Promise<void> {
    await until("three healthy nodes", async () => {
      const members = await this.#members();
      const states = members.map(({ role, state }) => `${role} ${state}`);
      const followers = states.filter((state) => /^(replica|sync_standby) (running|streaming)$/.test(state)).length;
      return members.length === 3 && followers === 2 && states.some((state) => state.startsWith("sync_standby"));
    });
  }

  async switchover(): Promise<void> {
    const { name, restUrl } = await this.leader();
    const response = await fetch(`${restUrl}/switchover`, { method: "POST", body: JSON.stringify({ leader: name }) });
    if (!response.ok) throw new Error(`switchover refused: ${await response.text()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off("exit", this.#endAll);
    this.#kill();
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  async #members(): Promise<{ role: string; state: string }[]> {
    for (const { restUrl } of this.nodes) {
      const response = await fetch(`${restUrl}/cluster`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
      if (response?.ok) return ((await response.json()) as { members: { role: string; state: string }[] }).members;
    }
    return [];
  }

  #kill(): void {
    this.#ended = true;
    for (const node of this.nodes) signalTree(node.roots(), "SIGKILL");
    for (const child of this.#children) child.kill("SIGKILL");
  }
}

class LocalNode implements PatroniNode {
  readonly name: string;
  readonly port: number;
  readonly rest: number;
  readonly #cluster: LocalPatroni;
  readonly #file: string;
  readonly #data: string;
  #agent: ChildProcess | undefined;

  constructor(cluster: LocalPatroni, name: string, of: { port: number; rest: number; file: string; data: string }) {
    this.#cluster = cluster;
    this.name = name;
    this.port = of.port;
    this.rest = of.rest;
    this.#file = of.file;
    this.#data = of.data;
  }

  get url(): string {
    return `postgres://postgres:${password}@127.0.0.1:${this.port}/postgres`;
  }
  get restUrl(): string {
    return `http://127.0.0.1:${this.rest}`;
  }

  async kill(): Promise<void> {
    const roots = this.roots();
    signalTree(roots, "SIGKILL");
    await until("the processes to end", async () => roots.every((pid) => !isAlive(pid)));
  }

  restart(): void {
    this.#agent = this.#cluster.run("/usr/bin/patroni", [this.#file]);
  }

  async freeze(): Promise<void> {
    // Twice, for what was being forked meanwhile.
    signalTree(this.roots(), "SIGSTOP");
    await sleep(10);
    signalTree(this.roots(), "SIGSTOP");
  }

  thaw(): void {
    signalTree(this.roots(), "SIGCONT");
  }

  async says(page: string): Promise<boolean> {
    const response = await fetch(`${this.restUrl}${page}`, { signal: AbortSignal.timeout(1_000) }).catch(
      () => undefined,
    );
    return response?.ok === true;
  }

  /** The agent and the postmaster, whose children follow them. */
  roots(): number[] {
    const pids: number[] = this.#agent?.pid === undefined || this.#agent.exitCode !== null ? [] : [this.#agent.pid];
    try {
      const pid = Number(readFileSync(path.join(this.#data, "postmaster.pid"), "utf8").split("\n")[0]);
      // A file left behind may name a process of somebody else by now.
      if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(this.#data)) pids.push(pid);
    } catch {
      // It is not running.
    }
    return pids;
  }
}

function configuration(of: {
  name: string;
  port: number;
  rest: number;
  etcdPort: number;
  bin: string;
  directory: string;
}): string {
  const user = (username: string): object => ({ username, password });
  // JSON is YAML.
  return JSON.stringify({
    scope: "testcluster",
    name: of.name,
    restapi: { listen: `127.0.0.1:${of.rest}`, connect_address: `127.0.0.1:${of.rest}` },
    etcd3: { host: `127.0.0.1:${of.etcdPort}` },
    bootstrap: {
      dcs: {
        ttl: 8,
        loop_wait: 1,
        retry_timeout: 3,
        maximum_lag_on_failover: 1_048_576,
        synchronous_mode: true,
        postgresql: { use_pg_rewind: true, parameters: { fsync: "off", max_connections: 60, shared_buffers: "16MB" } },
      },
      initdb: [{ encoding: "UTF8" }, "data-checksums", { locale: "C" }],
    },
    postgresql: {
      listen: `127.0.0.1:${of.port}`,
      connect_address: `127.0.0.1:${of.port}`,
      data_dir: path.join(of.directory, of.name),
      bin_dir: of.bin,
      pgpass: path.join(of.directory, `${of.name}.pgpass`),
      pg_hba: ["host replication all 127.0.0.1/32 md5", "host all all 127.0.0.1/32 md5", "local all all trust"],
      authentication: { superuser: user("postgres"), replication: user("replicator"), rewind: user("postgres") },
      parameters: { unix_socket_directories: of.directory },
    },
  });
}

function haproxyHead(port: number): string[] {
  return [
    "defaults",
    "  mode tcp",
    "  timeout connect 2s",
    "  timeout client 1h",
    "  timeout server 1h",
    "  timeout check 1s",
    "listen leader",
    `  bind 127.0.0.1:${port}`,
    "  option httpchk OPTIONS /primary",
    "  http-check expect status 200",
    "  default-server on-marked-down shutdown-sessions",
  ];
}

async function serverBinaries(): Promise<string | undefined> {
  const versions = await readdir("/usr/lib/postgresql").catch(() => []);
  const newest = versions.toSorted((a, b) => Number(b) - Number(a))[0];
  return newest === undefined ? undefined : path.join("/usr/lib/postgresql", newest, "bin");
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(0, "127.0.0.1", resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (!(await holds().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`waited ${patienceMs} ms in vain for ${what}`);
    await sleep(50);
  }
}

/** Signals processes and everything they started. */
function signalTree(roots: readonly number[], signal: NodeJS.Signals): void {
  const parents = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      parents.set(parent, [...(parents.get(parent) ?? []), Number(entry)]);
    } catch {
      // It ended meanwhile.
    }
  }
  const seen = new Set<number>();
  const visit = (pid: number): void => {
    if (seen.has(pid)) return;
    seen.add(pid);
    for (const child of parents.get(pid) ?? []) visit(child);
  };
  for (const root of roots) visit(root);
  for (const pid of seen) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended meanwhile.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
