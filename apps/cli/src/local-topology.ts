import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { isDbError, systemClock } from "@db/core";
import { defaultCacheDirectory, findBinaries, type LocalTopology, openLocalTopology } from "@db/embedded";
import { databaseArrived, ensureDatabase } from "@db/orchestrator";
import type { Context } from "./context.ts";
import {
  announceLocalDatabase,
  type LocalDatabase,
  readLocalDatabase,
  withdrawLocalDatabase,
} from "./local-database.ts";

export interface OpenedLocalDatabase extends LocalDatabase {
  readonly topology: LocalTopology;
  readonly directory: string;
  /** Tells other commands in this folder of it; until then they do not see it. */
  announce(): Promise<void>;
}

/**
 * Starts the PostgreSQL of this folder, with its database made and its key for backups ready. It is stopped when the
 * command ends, and the data stays.
 */
export async function openLocalDatabase(
  context: Context,
  options: {
    readonly directory?: string;
    readonly database: string;
    readonly fresh: boolean;
    readonly replicas: number;
    readonly version?: number;
    readonly application?: string | undefined;
  },
): Promise<OpenedLocalDatabase> {
  const directory = options.directory ?? join(context.cwd, ".db");
  const topology = await onceFree(context, directory, () =>
    openLocalTopology({
      directory,
      replicas: options.replicas,
      fresh: options.fresh,
      ...(options.version === undefined ? {} : { version: options.version }),
      env: context.env,
      install: true,
      onProgress: context.onProgress,
      logger: context.logger,
      signal: context.signal,
    }),
  );
  context.defer(() => topology.close());
  context.defer(() => withdrawLocalDatabase(directory));
  // At once, not when the command is done: whoever waits for this folder can tell that it will be free.
  context.signal.addEventListener("abort", () => void withdrawLocalDatabase(directory).catch(() => undefined));
  if (options.fresh)
    for (const name of ["backups", "audit.jsonl"]) await rm(join(directory, name), { recursive: true, force: true });
  for (const warning of topology.warnings) context.terminal.warn(warning);
  const url = await ensureDatabase(topology.primary.url, options.database, ["pg_stat_statements"]);
  const replicaUrls = topology.replicas.map(
    (replica) => Object.assign(new URL(replica.url), { pathname: new URL(url).pathname }).href,
  );
  for (const replicaUrl of replicaUrls) await databaseArrived(replicaUrl, 30_000, context.signal);
  const database: LocalDatabase = {
    pid: process.pid,
    primaryUrl: url,
    replicaUrls,
    repository: join(directory, "backups"),
    encryptionKeyFile: await ensureKey(join(directory, "backup.key")),
    auditFile: join(directory, "audit.jsonl"),
    application: options.application ?? null,
  };
  return { ...database, topology, directory, announce: () => announceLocalDatabase(directory, database) };
}

// A run that was interrupted a moment ago may still be stopping its servers.
async function onceFree<T>(context: Context, directory: string, open: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  let told = false;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (!isDbError(error, "EMBEDDED_IN_USE")) throw error;
      // One that answers other commands is in use; the first seconds are for one that does not know yet that it ends.
      const announced = (await readLocalDatabase(directory)) !== undefined;
      if (performance.now() - startedAt > (announced ? 2_000 : 12_000)) throw error;
      if (!told) context.terminal.say(`${error.message}; waiting whether it stops`);
      told = true;
      await systemClock.sleep(250, context.signal);
    }
  }
}

/** One line on what PostgreSQL this is and where it came from. */
export function describeTopology({ topology, directory }: OpenedLocalDatabase): string {
  const { binaries, replicas, created, recovered, rebuilt } = topology;
  const origin = {
    setting: "as set",
    path: "from PATH",
    system: "from this system",
    npm: "from npm",
    cache: "from the cache",
  }[binaries.source];
  const healed = [
    ...(recovered.length > 0 ? [`${recovered.length} servers of an interrupted run stopped first`] : []),
    ...(rebuilt.length > 0 ? [`${rebuilt.join(", ")} copied anew`] : []),
  ];
  return [
    `PostgreSQL ${binaries.version} (${origin}), a primary and ${replicas.length} streaming ${replicas.length === 1 ? "replica" : "replicas"} in ${directory}`,
    created ? "made new" : "data kept from before",
    ...healed,
  ].join("; ");
}

// Written once and kept: without it the backups of this folder cannot be read.
async function ensureKey(file: string): Promise<string> {
  try {
    if ((await readFile(file, "utf8")).trim() !== "") return file;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  await mkdir(join(file, ".."), { recursive: true });
  const handle = await open(`${file}.new`, "w", 0o600);
  await handle.writeFile(`${randomBytes(32).toString("hex")}\n`);
  await handle.sync();
  await handle.close();
  await rename(`${file}.new`, file);
  return file;
}

/** Every PostgreSQL of this machine, for `db doctor`. */
export function installedBinaries(context: Context): ReturnType<typeof findBinaries> {
  const cacheDirectory = defaultCacheDirectory(context.env);
  return findBinaries({
    ...(context.env["PATH"] === undefined ? {} : { path: context.env["PATH"] }),
    ...(cacheDirectory === undefined ? {} : { cacheDirectory }),
  });
}
