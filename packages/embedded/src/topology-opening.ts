import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { AbortedError, type Logger, noLogger, noProgress, type OnProgress } from "@db/core";
import { type Binaries, type FindBinariesOptions, requireBinaries } from "./binaries.ts";
import type { Cluster, OpenClusterOptions } from "./cluster.ts";
import { createCluster, openCluster } from "./create.ts";
import { dataMajorVersion, isComplete } from "./data-directory.ts";
import { BinariesNotFoundError, ClusterError, DataVersionMismatchError } from "./errors.ts";
import type { Guard } from "./guard.ts";
import { defaultCacheDirectory, installBinaries } from "./install.ts";
import type { LocalTopology, LocalTopologyOptions } from "./local-topology.ts";
import { readPorts, writePorts } from "./port-memory.ts";
import { recoverClusters, type RecoveredServer } from "./recover.ts";
import { canFollow, settleIn, startReplica } from "./replica.ts";
import { rotateLog, watchLogs } from "./server-log.ts";
import { throwawaySettings, topologySettings } from "./settings.ts";
import { discard, makeUnder, type TopologyDirectory } from "./topology-directory.ts";

const defaultVersion = 18;

/** One opening of a local topology, step by step, from a locked directory to running servers. */
export class TopologyOpening {
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
      settings: {
        ...topologySettings(binaries.major),
        ...(this.#options.durable === false ? throwawaySettings : {}),
        ...this.#options.settings,
      },
      guard: this.#guard,
      durable: this.#options.durable ?? true,
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
      await createCluster({
        ...options,
        directory,
        ...(signal === undefined ? {} : { signal }),
      });
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
