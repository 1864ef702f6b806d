import {
  type Clock,
  type Logger,
  type Metrics,
  noLogger,
  noMetrics,
  noProgress,
  type OnProgress,
  systemClock,
} from "@db/core";
import { InvalidBackupOptionsError } from "./errors.ts";
import type { ServerCompression } from "./replication/base-backup.ts";
import { defaultThreads, sealsLightly } from "./repository/frame-threads.ts";
import type { Repository } from "./repository/repository.ts";
import { type Compression, zstdAvailable } from "./repository/sealed-object.ts";

/** What every long job of this package takes beside its own options. */
export interface JobOptions {
  readonly onProgress?: OnProgress | undefined;
  readonly logger?: Logger | undefined;
  readonly metrics?: Metrics | undefined;
  readonly clock?: Clock | undefined;
  /** Ends the job: it throws `CORE_ABORTED` and leaves nothing that lists as good. */
  readonly signal?: AbortSignal | undefined;
}

/** What to back up, where to, and how. */
export interface BackupOptions extends JobOptions {
  /** `postgres://` URL of a role with REPLICATION, on a primary or a standby. Two connections are made. */
  readonly url: string;
  readonly repository: Repository;
  /** Begin at once (`fast`, default) or spread the checkpoint over the server's usual time. */
  readonly checkpoint?: "fast" | "spread" | undefined;
  /** Most bytes per second the server sends, 32 KiB to 1 GiB. Default `Infinity`. */
  readonly maxRateBytes?: number | undefined;
  /** Default zstd level 1 where this Node has it (22.15 and newer), else gzip level 1. */
  readonly compression?: BackupCompression | undefined;
  /** Longest wait for a connection. Default 10 000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Longest wait, after the files, for the WAL they need. Default 60 000. */
  readonly walTimeoutMs?: number | undefined;
  /** Longest silence of the server while it sends files. Default 120 000. */
  readonly stallTimeoutMs?: number | undefined;
}

/** How files are compressed, and by whom. */
export interface BackupCompression extends Partial<Compression> {
  /**
   * `client` (default): here. `server`: by the server, 15 and newer, which sends a third of the bytes and spends its
   * own processor on it; files are checked here all the same. zstd needs a server built with it.
   */
  readonly by?: "client" | "server" | undefined;
  /**
   * By the client: threads here that compress and encrypt, 0 to 64; each takes some 22 MB. Default the
   * number of processors, one fewer for zstd 1 and 2, 1 to 4; 0 does it on the thread of the caller and the system's. By
   * the server: threads it adds, for zstd. Default 0.
   */
  readonly workers?: number | undefined;
}

/** The defaults of `BackupOptions`. */
export const backupDefaults: {
  readonly checkpoint: "fast";
  readonly maxRateBytes: number;
  readonly connectTimeoutMs: number;
  readonly walTimeoutMs: number;
  readonly stallTimeoutMs: number;
} = Object.freeze({
  checkpoint: "fast",
  maxRateBytes: Number.POSITIVE_INFINITY,
  connectTimeoutMs: 10_000,
  walTimeoutMs: 60_000,
  stallTimeoutMs: 120_000,
});

/** Job options with every collaborator in place. */
export interface ResolvedJobOptions {
  readonly onProgress: OnProgress;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
}

export function resolveJobOptions(options: JobOptions): ResolvedJobOptions {
  return {
    onProgress: options.onProgress ?? noProgress,
    logger: options.logger ?? noLogger,
    metrics: options.metrics ?? noMetrics,
    clock: options.clock ?? systemClock,
    signal: options.signal,
  };
}

/** Backup options with nothing left open. */
export interface ResolvedBackupOptions extends ResolvedJobOptions {
  readonly url: string;
  readonly repository: Repository;
  readonly checkpoint: "fast" | "spread";
  readonly maxRateBytes: number | undefined;
  readonly compression: Compression;
  /** Undefined: compressed here. */
  readonly serverCompression: ServerCompression | undefined;
  /** Threads of this process that compress and encrypt; 0 for none of their own. */
  readonly threads: number;
  readonly connectTimeoutMs: number;
  readonly walTimeoutMs: number;
  readonly stallTimeoutMs: number;
}

/** @throws {InvalidBackupOptionsError} naming every problem at once */
export function resolveBackupOptions(options: BackupOptions): ResolvedBackupOptions {
  const problems: string[] = [];
  const compression = resolveCompression(options.compression ?? {}, problems);
  const maxRate = options.maxRateBytes ?? backupDefaults.maxRateBytes;
  if (maxRate !== Number.POSITIVE_INFINITY && !(maxRate >= 32 * 1024 && maxRate <= 1024 ** 3)) {
    problems.push(`maxRateBytes must be 32 KiB to 1 GiB or Infinity, not ${maxRate}`);
  }
  const connectTimeoutMs = options.connectTimeoutMs ?? backupDefaults.connectTimeoutMs;
  const walTimeoutMs = options.walTimeoutMs ?? backupDefaults.walTimeoutMs;
  if (!(connectTimeoutMs > 0)) problems.push("connectTimeoutMs must be above zero");
  const stallTimeoutMs = options.stallTimeoutMs ?? backupDefaults.stallTimeoutMs;
  if (!(stallTimeoutMs > 0)) problems.push("stallTimeoutMs must be above zero");
  if (!(walTimeoutMs > 0)) problems.push("walTimeoutMs must be above zero");
  if (!/^postgres(ql)?:\/\//.test(options.url)) problems.push("url must begin with postgres://");
  const serverCompression = resolveServerCompression(options.compression ?? {}, compression, problems);
  if (problems.length > 0) throw new InvalidBackupOptionsError(problems.join("; "));
  return {
    ...resolveJobOptions(options),
    url: options.url,
    repository: options.repository,
    checkpoint: options.checkpoint ?? backupDefaults.checkpoint,
    maxRateBytes: maxRate === Number.POSITIVE_INFINITY ? undefined : maxRate,
    compression,
    serverCompression,
    threads: serverCompression ? 0 : (options.compression?.workers ?? defaultThreads(sealsLightly(compression))),
    connectTimeoutMs,
    walTimeoutMs,
    stallTimeoutMs,
  };
}

/** The compression asked for, with its defaults; what is wrong with it goes into `problems`. */
export function resolveCompression(asked: Partial<Compression>, problems: string[]): Compression {
  const algorithm = asked.algorithm ?? (zstdAvailable ? "zstd" : "gzip");
  const level = asked.level ?? 1;
  const highest = algorithm === "zstd" ? 19 : 9;
  if (algorithm === "zstd" && !zstdAvailable) problems.push("compression zstd needs Node 22.15 or newer");
  if (algorithm !== "none" && !(Number.isInteger(level) && level >= 1 && level <= highest)) {
    problems.push(`compression.level of ${algorithm} must be 1 to ${highest}, not ${level}`);
  }
  return { algorithm, level: algorithm === "none" ? 0 : level };
}

function resolveServerCompression(
  { by = "client", workers }: BackupCompression,
  { algorithm, level }: Compression,
  problems: string[],
): ServerCompression | undefined {
  if (workers !== undefined && by === "server" && algorithm !== "zstd") {
    problems.push("compression.workers by the server needs zstd");
  }
  const most = by === "server" ? 256 : 64;
  if (workers !== undefined && !(Number.isInteger(workers) && workers >= 0 && workers <= most)) {
    problems.push(`compression.workers by the ${by} must be 0 to ${most}, not ${workers}`);
  }
  if (by === "client") return undefined;
  if (algorithm !== "none") return { algorithm, level, workers: workers ?? 0 };
  problems.push("compression.by server needs an algorithm other than none");
  return undefined;
}
