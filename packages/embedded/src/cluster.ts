import { type ChildProcess, spawn } from "node:child_process";
import { open, readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { AbortedError, type Logger, messageOf, noLogger } from "@db/core";
import { type Account, serverAccount } from "./account.ts";
import { type Binaries, programPath } from "./binaries.ts";
import { copyTree } from "./copy.ts";
import { dataMajorVersion, initializeData, ownerOf, writeFileDurably, writeServerFile } from "./data-directory.ts";
import { ClusterError, DataVersionMismatchError, DirectoryError } from "./errors.ts";
import { type FindPort, findFreePort } from "./port.ts";
import {
  findPostmaster,
  freezeProcesses,
  killProcesses,
  readPostmasterFile,
  signalProcess,
  thawProcesses,
  waitForEnd,
} from "./postmaster.ts";
import { identify, type ProcessIdentity } from "./process-identity.ts";
import { asAccount, runProgram, serverEnvironment } from "./program.ts";
import { baseSettings, renderSettings, type Settings } from "./settings.ts";

/** What a cluster is opened with. */
export interface OpenClusterOptions {
  /** The cluster's own directory: its log, its records, and the data below unless `dataDirectory` says otherwise. */
  readonly directory: string;
  /** The data directory. Default `data` below `directory`. */
  readonly dataDirectory?: string;
  readonly binaries: Binaries;
  /** TCP port on 127.0.0.1. Default a free one, chosen at each start. */
  readonly port?: number;
  /** Server settings, written to a file of their own that postgresql.conf includes. */
  readonly settings?: Settings;
  /** The whole text of pg_hba.conf. Default scram-sha-256 from 127.0.0.1, replication included. */
  readonly hba?: string;
  /** Superuser of the cluster. Default `postgres`. */
  readonly username?: string;
  /** The superuser's password, for `url` and for standbys. */
  readonly password: string;
  /** The account to run the server as when this process is root. Default `postgres`, else `nobody`. */
  readonly account?: string;
  /** Longest wait for the server to accept connections. Default 60 000 ms; crash recovery may need more. */
  readonly startTimeoutMs?: number;
  readonly logger?: Logger;
  /** Chooses ports. */
  readonly findPort?: FindPort;
}

/** What a new cluster is made with. */
export interface CreateClusterOptions extends OpenClusterOptions {
  /** Default true; false skips waiting for the disk while making it. */
  readonly durable?: boolean;
  /** More arguments for initdb, `--wal-segsize=1`. */
  readonly initdbArguments?: readonly string[];
  readonly signal?: AbortSignal;
}

/** How a standby is made from a cluster. */
export interface CloneOptions {
  /** The standby's own directory. */
  readonly directory: string;
  /** Name of the standby at the primary and of its replication slot: lower-case letters, digits, underscores. */
  readonly name: string;
  readonly port?: number;
  /** Settings beside those of the primary. */
  readonly settings?: Settings;
  readonly signal?: AbortSignal;
}

/** `smart` waits for clients, `fast` ends their sessions, `immediate` leaves crash recovery to the next start. */
export type StopMode = "smart" | "fast" | "immediate";

/** One data directory and its server on this machine. */
export interface Cluster extends AsyncDisposable {
  readonly directory: string;
  readonly dataDirectory: string;
  readonly binaries: Binaries;
  readonly major: number;
  /** The account the server runs as; undefined means this process's own. */
  readonly account: Account | undefined;
  readonly username: string;
  readonly password: string;
  /** What the server writes, from its first start on. */
  readonly logFile: string;
  /** The port of the running server, or of its last start. */
  readonly port: number;
  /** `postgres://user:password@127.0.0.1:port/postgres`, of the running server. */
  readonly url: string;
  readonly pid: number | undefined;
  isRunning(): Promise<boolean>;
  /** Starts and waits until the server accepts connections. Does nothing when it runs. */
  start(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Stops and waits for the end; by force after `timeoutMs` (default 30 000). Does nothing when stopped. */
  stop(mode?: StopMode, options?: { readonly timeoutMs?: number }): Promise<void>;
  restart(): Promise<void>;
  /** SIGKILL to the server and its children, as a power failure would. */
  kill(): Promise<void>;
  /** Stops every process in its tracks: sockets stay open, nothing answers. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Ends recovery: a standby becomes a primary. Waits until it takes writes. */
  promote(options?: { readonly timeoutMs?: number }): Promise<void>;
  /** Rewrites the settings and reloads them; those that need a restart wait for one. */
  reconfigure(settings: Settings): Promise<void>;
  /**
   * Makes a streaming standby by copying the data, with a replication slot of its own at this cluster. A running
   * primary is stopped for the copy and started again. The result follows this cluster and is not started.
   */
  clone(options: CloneOptions): Promise<Cluster>;
  /** Points a standby at its primary as it runs now; needed again whenever the primary's port changed. */
  follow(primary: Cluster, name: string): Promise<void>;
  /** Runs statements on the stopped cluster, each on its own line, as the superuser and without a client. */
  runOffline(statements: readonly string[], database?: string): Promise<string>;
  /** Stops at once and deletes the cluster's directory and data. */
  remove(): Promise<void>;
}

/** The file that says a data directory is complete: written last, so what lacks it was never finished. */
export const completionFile = "cluster.json";
const settingsFile = "db-embedded.conf";
const defaultHba = `# type database user address method
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
local replication all scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
host replication all ::1/128 scram-sha-256
`;

/**
 * Makes a cluster in `directory`, which must not hold a finished one. What a killed attempt left there is cleared.
 * The cluster is not started.
 * @throws {DirectoryError | ClusterError | AccountError}
 */
export async function createCluster(options: CreateClusterOptions): Promise<Cluster> {
  const account = await serverAccount(options.account);
  const cluster = new LocalCluster(options, account);
  if (await isComplete(options.directory)) {
    throw new DirectoryError(`${options.directory} already holds a cluster`, { hint: "Open it, or remove it first." });
  }
  await prepareDirectory(options.directory, account);
  await rm(cluster.dataDirectory, { recursive: true, force: true });
  await initializeData(cluster.dataDirectory, {
    binaries: options.binaries,
    account,
    username: cluster.username,
    password: options.password,
    durable: options.durable ?? true,
    arguments: options.initdbArguments ?? [],
    signal: options.signal,
  });
  await cluster.writeConfiguration();
  await markComplete(cluster);
  return cluster;
}

/**
 * Opens a cluster that is on disk: one made here, or any data directory of the binaries' version (a restored backup,
 * a copy). Its settings are replaced by `settings`. It is not started.
 * @throws {DirectoryError} when there is no data, {DataVersionMismatchError} when another version made it
 */
export async function openCluster(options: OpenClusterOptions): Promise<Cluster> {
  const dataDirectory = options.dataDirectory ?? path.join(options.directory, "data");
  const account = await ownerOf(dataDirectory, await serverAccount(options.account));
  const major = await dataMajorVersion(dataDirectory);
  if (major === undefined) {
    throw new DirectoryError(`${dataDirectory} holds no PostgreSQL data`, { hint: "Make a cluster there first." });
  }
  if (major !== options.binaries.major) {
    throw new DataVersionMismatchError(
      `${dataDirectory} was made by PostgreSQL ${major}, which ${options.binaries.version} cannot read`,
      { dataMajor: major, wantedMajor: options.binaries.major, hint: `Open it with PostgreSQL ${major}.` },
    );
  }
  await prepareDirectory(options.directory, account);
  const cluster = new LocalCluster(options, account);
  if (!(await cluster.isRunning())) await cluster.writeConfiguration();
  return cluster;
}

/** True when the directory holds a cluster that was made to the end. */
export async function isComplete(directory: string): Promise<boolean> {
  return (await readFile(path.join(directory, completionFile), "utf8").catch(() => "")) !== "";
}

async function markComplete(cluster: Cluster): Promise<void> {
  const about = {
    format: 1,
    major: cluster.major,
    version: cluster.binaries.version,
    madeAt: new Date().toISOString(),
  };
  await writeFileDurably(path.join(cluster.directory, completionFile), `${JSON.stringify(about, null, 2)}\n`);
}

// The account needs to pass through, not to read: only the data below is its own.
async function prepareDirectory(directory: string, account: Account | undefined): Promise<void> {
  const { mkdir, chmod, stat } = await import("node:fs/promises");
  try {
    await mkdir(directory, { recursive: true, mode: account === undefined ? 0o700 : 0o755 });
    if (account !== undefined) {
      const about = await stat(directory);
      if (about.uid === process.getuid?.()) await chmod(directory, about.mode | 0o711);
    }
  } catch (error) {
    throw new DirectoryError(`cannot write ${directory}: ${messageOf(error)}`, {
      cause: error,
      hint: "Choose a directory that you may write to.",
    });
  }
}

class LocalCluster implements Cluster {
  readonly directory: string;
  readonly dataDirectory: string;
  readonly binaries: Binaries;
  readonly major: number;
  readonly account: Account | undefined;
  readonly username: string;
  readonly password: string;
  readonly logFile: string;
  readonly #options: OpenClusterOptions;
  readonly #logger: Logger;
  readonly #findPort: FindPort;
  #settings: Settings;
  #port: number;
  #process: ProcessIdentity | undefined;

  constructor(options: OpenClusterOptions, account: Account | undefined) {
    this.#options = options;
    this.directory = path.resolve(options.directory);
    this.dataDirectory = path.resolve(options.dataDirectory ?? path.join(options.directory, "data"));
    this.binaries = options.binaries;
    this.major = options.binaries.major;
    this.account = account;
    this.username = options.username ?? "postgres";
    this.password = options.password;
    this.logFile = path.join(this.directory, "server.log");
    this.#settings = options.settings ?? {};
    this.#logger = (options.logger ?? noLogger).child({ cluster: path.basename(this.directory) });
    this.#findPort = options.findPort ?? findFreePort;
    this.#port = options.port ?? 0;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    const user = `${encodeURIComponent(this.username)}:${encodeURIComponent(this.password)}`;
    return `postgres://${user}@127.0.0.1:${this.#port}/postgres`;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  async isRunning(): Promise<boolean> {
    this.#process = await findPostmaster(this.dataDirectory, this.#process);
    if (this.#process === undefined) return false;
    const file = await readPostmasterFile(this.dataDirectory);
    if (file !== undefined && file.port > 0) this.#port = file.port;
    return true;
  }

  async writeConfiguration(): Promise<void> {
    const main = path.join(this.dataDirectory, "postgresql.conf");
    const text = await readFile(main, "utf8").catch(() => "");
    if (!text.includes(settingsFile)) {
      await writeServerFile(main, `${text}\ninclude_if_exists = '${settingsFile}'\n`, this.account);
    }
    const settings = renderSettings({ ...baseSettings, ...this.#settings });
    await writeServerFile(path.join(this.dataDirectory, settingsFile), settings, this.account);
    const hba = this.#options.hba ?? defaultHba;
    await writeServerFile(path.join(this.dataDirectory, "pg_hba.conf"), hba, this.account);
  }

  async start(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (await this.isRunning()) return;
    const attempts = this.#options.port === undefined ? 5 : 1;
    for (let attempt = 1; ; attempt += 1) {
      // A restart keeps its port as long as nobody took it, so that addresses handed out stay good.
      if (this.#port === 0 || attempt > 1) this.#port = await this.#findPort();
      try {
        await this.#startOnce(options.signal);
        return;
      } catch (error) {
        const taken = error instanceof ClusterError && /could not bind|Address already in use/.test(error.log);
        if (!taken || attempt >= attempts) throw error;
        this.#logger.debug({ port: this.#port }, "the port was taken in between, trying another");
      }
    }
  }

  async #startOnce(signal: AbortSignal | undefined): Promise<void> {
    const log = await open(this.logFile, "a", 0o600);
    const { size } = await log.stat();
    const started = Date.now();
    let child: ChildProcess;
    try {
      const env = serverEnvironment();
      // Detached: a Ctrl-C of the terminal must reach this process only, which then stops its servers in order.
      child = spawn(programPath(this.binaries, "postgres"), ["-D", this.dataDirectory, ...this.#arguments()], {
        ...asAccount(this.account),
        ...(env === undefined ? {} : { env }),
        detached: true,
        windowsHide: true,
        stdio: ["ignore", log.fd, log.fd],
      });
    } finally {
      await log.close();
    }
    let ended: string | undefined;
    child.once("error", (error) => (ended = messageOf(error)));
    child.once("exit", (code, name) => (ended = name === null ? `exit code ${code}` : name));
    child.unref();
    const deadline = started + (this.#options.startTimeoutMs ?? 60_000);
    for (;;) {
      const file = await readPostmasterFile(this.dataDirectory);
      if (ended !== undefined) throw await this.#startFailed(ended, size);
      if (file?.pid === child.pid && (file?.status === "ready" || file?.status === "standby")) break;
      if (signal?.aborted || Date.now() > deadline) {
        if (child.pid !== undefined) await killProcesses(child.pid);
        if (signal?.aborted) throw new AbortedError("the start of the server was aborted", { cause: signal.reason });
        throw await this.#startFailed(`not ready after ${Date.now() - started} ms`, size);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.#process = await identify(child.pid ?? 0);
    this.#logger.debug({ port: this.#port, pid: child.pid, tookMs: Date.now() - started }, "server started");
  }

  #arguments(): string[] {
    const owned: Settings = {
      port: this.#port,
      listen_addresses: "127.0.0.1",
      // A socket's path may be 107 bytes long, a project's directory is often longer: TCP only.
      ...(process.platform === "win32" ? {} : { unix_socket_directories: "" }),
      logging_collector: false,
    };
    return Object.entries(owned).flatMap(([name, value]) => [
      "-c",
      `${name}=${typeof value === "boolean" ? (value ? "on" : "off") : value}`,
    ]);
  }

  async #startFailed(reason: string, from: number): Promise<ClusterError> {
    const all = await readFile(this.logFile).catch(() => Buffer.alloc(0));
    const log = all.subarray(from).toString("utf8").slice(-8_000);
    const line = log.split("\n").findLast((text) => /(FATAL|PANIC|error|could not)/.test(text)) ?? "";
    const said = line.replace(/^.*?(?=FATAL|PANIC)/, "");
    return new ClusterError(`the server of ${this.dataDirectory} did not start (${reason})${said ? `: ${said}` : ""}`, {
      log,
      hint: `Read ${this.logFile}.`,
    });
  }

  async stop(mode: StopMode = "fast", options: { readonly timeoutMs?: number } = {}): Promise<void> {
    if (!(await this.isRunning())) return;
    const { pid } = this.#process as ProcessIdentity;
    const signals = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;
    await this.thaw();
    if (process.platform === "win32") {
      await runProgram(programPath(this.binaries, "pg_ctl"), ["stop", "-D", this.dataDirectory, "-m", mode]);
    } else signalProcess(pid, signals[mode]);
    if (!(await waitForEnd([pid], options.timeoutMs ?? 30_000))) {
      this.#logger.warn({ pid, mode }, "the server did not stop in time and was killed");
      await killProcesses(pid);
    }
    this.#process = undefined;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async kill(): Promise<void> {
    if (!(await this.isRunning())) return;
    await killProcesses((this.#process as ProcessIdentity).pid);
    this.#process = undefined;
  }

  async freeze(): Promise<void> {
    if (await this.isRunning()) await freezeProcesses((this.#process as ProcessIdentity).pid);
  }

  async thaw(): Promise<void> {
    if (await this.isRunning()) await thawProcesses((this.#process as ProcessIdentity).pid);
  }

  async promote(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const timeoutMs = options.timeoutMs ?? 60_000;
    const result = await runProgram(
      programPath(this.binaries, "pg_ctl"),
      ["promote", "-D", this.dataDirectory, "-w", "-t", String(Math.ceil(timeoutMs / 1_000))],
      { account: this.account, timeoutMs: timeoutMs + 5_000 },
    );
    if (result.exitCode !== 0) {
      throw new ClusterError(
        `could not promote ${this.dataDirectory}: ${result.stderr.trim() || result.stdout.trim()}`,
        {
          log: result.stderr,
          hint: "Only a running standby can be promoted.",
        },
      );
    }
  }

  async reconfigure(settings: Settings): Promise<void> {
    this.#settings = { ...this.#settings, ...settings };
    await this.writeConfiguration();
    if (!(await this.isRunning())) return;
    if (process.platform === "win32") {
      await runProgram(programPath(this.binaries, "pg_ctl"), ["reload", "-D", this.dataDirectory]);
    } else signalProcess((this.#process as ProcessIdentity).pid, "SIGHUP");
  }

  async follow(primary: Cluster, name: string): Promise<void> {
    const parts = { host: "127.0.0.1", port: String(primary.port), user: primary.username, password: primary.password };
    const conninfo = Object.entries({ ...parts, application_name: name, sslmode: "disable" })
      .map(([key, value]) => `${key}='${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`)
      .join(" ");
    await this.reconfigure({ primary_conninfo: conninfo, primary_slot_name: name });
  }

  async clone(options: CloneOptions): Promise<Cluster> {
    const wasRunning = await this.isRunning();
    const port = this.#port;
    if (wasRunning) await this.stop();
    try {
      return await cloneStopped(this, this.#options, options, this.#settings);
    } finally {
      if (wasRunning) {
        this.#port = port;
        await this.start();
      }
    }
  }

  async runOffline(statements: readonly string[], database: string = "postgres"): Promise<string> {
    const result = await runProgram(
      programPath(this.binaries, "postgres"),
      // -j: a statement ends at a semicolon and an empty line.
      ["--single", "-j", "-D", this.dataDirectory, "-c", "exit_on_error=true", database],
      { account: this.account, input: statements.map((text) => `${text};\n\n`).join("") },
    );
    if (result.exitCode !== 0 || /^.*(ERROR|FATAL|PANIC):/m.test(result.stderr)) {
      const line = result.stderr.split("\n").find((text) => /(ERROR|FATAL|PANIC):/.test(text)) ?? "";
      throw new ClusterError(`a statement failed in ${this.dataDirectory}: ${line.trim()}`, { log: result.stderr });
    }
    return result.stdout;
  }

  async remove(): Promise<void> {
    await this.kill();
    const left = await readPostmasterFile(this.dataDirectory);
    if (left?.sharedMemoryId !== undefined) await removeSharedMemory(left.sharedMemoryId, this.account);
    await rm(path.join(this.directory, completionFile), { force: true });
    await rm(this.dataDirectory, { recursive: true, force: true, maxRetries: 5 });
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

async function cloneStopped(
  primary: Cluster,
  primaryOptions: OpenClusterOptions,
  options: CloneOptions,
  settings: Settings,
): Promise<Cluster> {
  const { name, directory } = options;
  if (!/^[a-z0-9_]{1,63}$/.test(name)) {
    throw new DirectoryError(`"${name}" is no name for a standby`, { hint: "Use a-z, 0-9 and underscores." });
  }
  if (await isComplete(directory)) {
    throw new DirectoryError(`${directory} already holds a cluster`, { hint: "Remove it first." });
  }
  await prepareDirectory(directory, primary.account);
  const { port: _primaryPort, dataDirectory: _primaryData, ...inherited } = primaryOptions;
  const standby = new LocalCluster(
    {
      ...inherited,
      directory,
      ...(options.port === undefined ? {} : { port: options.port }),
      settings: { ...settings, ...options.settings },
    },
    primary.account,
  );
  await rm(standby.dataDirectory, { recursive: true, force: true });
  // A slot is a directory of its name; making one takes a start of the server.
  const present = await readdir(path.join(primary.dataDirectory, "pg_replslot"));
  if (!present.includes(name)) await primary.runOffline([createSlotSql(name)]);
  await copyTree(primary.dataDirectory, standby.dataDirectory, options.signal);
  await rm(path.join(standby.dataDirectory, "postmaster.pid"), { force: true });
  // Slots belong to the server that made them: a copy of one would hold WAL back for nobody.
  const slots = path.join(standby.dataDirectory, "pg_replslot");
  await Promise.all((await readdir(slots)).map((slot) => rm(path.join(slots, slot), { recursive: true })));
  await writeServerFile(path.join(standby.dataDirectory, "standby.signal"), "", primary.account);
  await standby.follow(primary, name);
  await markComplete(standby);
  return standby;
}

/** Makes a physical slot that holds back WAL from now on. The name was checked. */
export function createSlotSql(name: string): string {
  return `select pg_create_physical_replication_slot('${name}', true)`;
}

async function removeSharedMemory(id: number, account: Account | undefined): Promise<void> {
  // Only a segment nobody is attached to: the id may have gone to another program since.
  const table = await readFile("/proc/sysvipc/shm", "utf8").catch(() => "");
  const owner = account?.uid ?? process.getuid?.();
  const free = table
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .some((fields) => fields[1] === id && fields[6] === 0 && fields[7] === owner);
  if (free) await runProgram("ipcrm", ["-m", String(id)], { account }).catch(() => undefined);
}
