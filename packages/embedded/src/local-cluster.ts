import { readFile, rm, stat } from "node:fs/promises";
import path from "node:path";
import { type Logger, noLogger } from "@db/core";
import type { Account } from "./account.ts";
import { type Binaries, programPath } from "./binaries.ts";
import type { CloneOptions, Cluster, OpenClusterOptions, ReplicationState, StopMode } from "./cluster.ts";
import { clearCompletion, writeServerFile } from "./data-directory.ts";
import { ClusterError } from "./errors.ts";
import { type FindPort, findFreePort } from "./port.ts";
import {
  clearStaleFile,
  findPostmaster,
  freezeProcesses,
  killProcesses,
  readPostmasterFile,
  signalProcess,
  thawProcesses,
  waitForEnd,
} from "./postmaster.ts";
import { identify, type ProcessIdentity } from "./process-identity.ts";
import { runProgram } from "./program.ts";
import { replicationStateOf } from "./replication-state.ts";
import { clearRunningRecord, readRunningRecord, writeRunningRecord } from "./running-record.ts";
import { launchServer, readLogFrom } from "./server-process.ts";
import { baseSettings, renderSettings, type Settings } from "./settings.ts";
import { removeSharedFiles, removeSharedMemory, sharedFilesOf } from "./shared-memory.ts";
import { checkStandbyName } from "./standby.ts";

const settingsFile = "db-embedded.conf";
const hbaFile = "db-embedded-hba.conf";
const windows = process.platform === "win32";

/** Makes a standby from a cluster that runs or was stopped in order; given by the module that makes clusters. */
export type Cloner = (
  primary: Cluster,
  inherited: OpenClusterOptions,
  options: CloneOptions,
  running: boolean,
) => Promise<Cluster>;

export class LocalCluster implements Cluster {
  readonly directory: string;
  readonly dataDirectory: string;
  readonly binaries: Binaries;
  readonly major: number;
  readonly account: Account | undefined;
  readonly username: string;
  readonly password: string;
  readonly logFile: string;
  readonly #options: OpenClusterOptions;
  readonly #makeClone: Cloner;
  readonly #logger: Logger;
  readonly #findPort: FindPort;
  #settings: Settings;
  #port: number;
  #logOffset = 0;
  #process: ProcessIdentity | undefined;
  /** What the server had mapped when it was killed. */
  readonly #sharedFiles = new Set<string>();

  constructor(options: OpenClusterOptions, account: Account | undefined, makeClone: Cloner) {
    this.#options = options;
    this.#makeClone = makeClone;
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
    this.#port = options.port ?? options.preferredPort ?? 0;
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
    const known = this.#process ?? (await readRunningRecord(this.directory))?.server;
    this.#process = await findPostmaster(this.dataDirectory, known);
    if (this.#process === undefined) return false;
    const file = await readPostmasterFile(this.dataDirectory);
    if (file !== undefined && file.port > 0) this.#port = file.port;
    return true;
  }

  /** Writes the settings file and makes postgresql.conf include it. */
  async writeConfiguration(): Promise<void> {
    const main = path.join(this.dataDirectory, "postgresql.conf");
    const text = await readFile(main, "utf8").catch(() => "");
    if (!text.includes(`include_if_exists = '${settingsFile}'`)) {
      await writeServerFile(main, `${text}\ninclude_if_exists = '${settingsFile}'\n`, this.account);
    }
    const settings = renderSettings({ ...baseSettings, ...this.#settings });
    await writeServerFile(path.join(this.dataDirectory, settingsFile), settings, this.account);
    const { hba } = this.#options;
    if (hba !== undefined) await writeServerFile(path.join(this.dataDirectory, hbaFile), hba, this.account);
  }

  async start(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (await this.isRunning()) return;
    await clearStaleFile(this.dataDirectory);
    const attempts = this.#options.port === undefined ? 5 : 1;
    for (let attempt = 1; ; attempt += 1) {
      if (this.#port === 0 || attempt > 1) this.#port = await this.#findPort();
      try {
        await this.#startOnce(options.signal);
        return;
      } catch (error) {
        const taken = error instanceof ClusterError && /could not bind|could not create any TCP/.test(error.log);
        if (!taken || attempt >= attempts) {
          await clearRunningRecord(this.directory);
          throw error;
        }
        this.#logger.debug({ port: this.#port }, "the port was taken, trying another");
      }
    }
  }

  async #startOnce(signal: AbortSignal | undefined): Promise<void> {
    const started = Date.now();
    const startedBy = (await identify(process.pid)) ?? { pid: process.pid, startedAt: "" };
    const record = { dataDirectory: this.dataDirectory, port: this.#port, startedBy };
    const { durable = true } = this.#options;
    await writeRunningRecord(this.directory, record, durable);
    this.#logOffset = await stat(this.logFile).then(
      (about) => about.size,
      () => 0,
    );
    const pid = await launchServer({
      binaries: this.binaries,
      dataDirectory: this.dataDirectory,
      logFile: this.logFile,
      account: this.account,
      arguments: this.#arguments(),
      environment: this.#options.environment ?? {},
      timeoutMs: this.#options.startTimeoutMs ?? 60_000,
      signal,
      onProcess: (pid) => this.#options.guard?.watch(pid, this.dataDirectory),
    });
    this.#process = await identify(pid);
    if (this.#process !== undefined) {
      await writeRunningRecord(this.directory, { ...record, server: this.#process }, durable);
    }
    this.#logger.debug({ port: this.#port, pid, tookMs: Date.now() - started }, "server started");
  }

  #arguments(): Settings {
    return {
      // A socket's path may be 107 bytes long and a project's directory is often longer: only for who asks for one.
      ...(windows ? {} : { unix_socket_directories: "" }),
      ...this.#options.overrides,
      ...(this.#options.hba === undefined ? {} : { hba_file: path.join(this.dataDirectory, hbaFile) }),
      port: this.#port,
      listen_addresses: "127.0.0.1",
      // The log goes where this process can find it.
      logging_collector: false,
      log_destination: "stderr",
    };
  }

  async stop(mode: StopMode = "fast", options: { readonly timeoutMs?: number } = {}): Promise<void> {
    if (await this.isRunning()) {
      const { pid } = this.#process as ProcessIdentity;
      const signals = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;
      await this.thaw();
      if (windows) await this.#control(["stop", "-W", "-m", mode]);
      else signalProcess(pid, signals[mode]);
      if (!(await waitForEnd([pid], options.timeoutMs ?? 30_000))) {
        this.#logger.warn({ pid, mode }, "the server did not stop in time and was killed");
        await killProcesses(pid);
      }
    }
    this.#process = undefined;
    await clearRunningRecord(this.directory);
  }

  async restart(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.stop();
    await this.start(options);
  }

  async kill(): Promise<void> {
    if (!(await this.isRunning())) return;
    const { pid } = this.#process as ProcessIdentity;
    // A start would remove what it mapped; `remove` has to know.
    for (const file of await sharedFilesOf([pid, ...(await freezeProcesses(pid))])) this.#sharedFiles.add(file);
    await killProcesses(pid);
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
    const wait = ["promote", "-w", "-t", String(Math.ceil(timeoutMs / 1_000))];
    const result = await this.#control(wait, timeoutMs + 5_000);
    if (result.exitCode === 0) return;
    const said = (result.stderr.trim() || result.stdout.trim()).split("\n")[0];
    throw new ClusterError(`could not promote ${this.dataDirectory}: ${said}`, {
      log: result.stderr,
      hint: "Only a running standby can be promoted.",
    });
  }

  async reconfigure(settings: Settings): Promise<void> {
    this.#settings = { ...this.#settings, ...settings };
    await this.writeConfiguration();
    if (!(await this.isRunning())) return;
    if (windows) await this.#control(["reload"]);
    else signalProcess((this.#process as ProcessIdentity).pid, "SIGHUP");
  }

  async clone(options: CloneOptions): Promise<Cluster> {
    const wasRunning = await this.isRunning();
    if (!wasRunning || options.session !== undefined)
      return this.#makeClone(this, this.#inherited(), options, wasRunning);
    await this.stop();
    let clone: Cluster;
    try {
      clone = await this.#makeClone(this, this.#inherited(), options, false);
    } finally {
      await this.start();
    }
    await clone.follow(this, options.name);
    return clone;
  }

  #inherited(): OpenClusterOptions {
    const { port: _port, preferredPort: _preferred, dataDirectory: _data, ...inherited } = this.#options;
    return { ...inherited, settings: this.#settings };
  }

  async follow(primary: Cluster, name: string): Promise<void> {
    const parts = { host: "127.0.0.1", port: String(primary.port), user: primary.username, password: primary.password };
    const conninfo = Object.entries({ ...parts, application_name: checkStandbyName(name), sslmode: "disable" })
      .map(([key, value]) => `${key}='${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`)
      .join(" ");
    await this.reconfigure({ primary_conninfo: conninfo, primary_slot_name: name });
  }

  async replicationState(): Promise<ReplicationState> {
    return replicationStateOf(await readLogFrom(this.logFile, this.#logOffset));
  }

  async runOffline(statements: readonly string[], database: string = "postgres"): Promise<string> {
    const result = await runProgram(
      programPath(this.binaries, "postgres"),
      // -j: a statement ends at a semicolon and an empty line.
      ["--single", "-j", "-D", this.dataDirectory, "-c", "exit_on_error=true", database],
      { account: this.account, input: statements.map((text) => `${text};\n\n`).join("") },
    );
    const line = result.stderr.split("\n").find((text) => /(ERROR|FATAL|PANIC): /.test(text));
    if (result.exitCode !== 0 || line !== undefined) {
      throw new ClusterError(`a statement failed in ${this.dataDirectory}: ${(line ?? result.stderr).trim()}`, {
        log: result.stderr,
      });
    }
    return result.stdout;
  }

  async remove(): Promise<void> {
    await this.kill();
    const left = await readPostmasterFile(this.dataDirectory);
    if (left?.sharedMemoryId !== undefined) await removeSharedMemory(left.sharedMemoryId, this.account);
    await removeSharedFiles(this.#sharedFiles, this.account);
    await clearCompletion(this.directory);
    await rm(this.dataDirectory, { recursive: true, force: true, maxRetries: 5 });
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #control(args: readonly string[], timeoutMs?: number): ReturnType<typeof runProgram> {
    return runProgram(programPath(this.binaries, "pg_ctl"), [...args, "-D", this.dataDirectory], {
      account: this.account,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  }
}
