import { randomBytes } from "node:crypto";
import { AbortedError, type Finding, formatLsn, messageOf, parseLsn, walSegmentName } from "@db/core";
import { ArchiveCollector } from "./archive-collector.ts";
import { manifestMacKey, readCatalog } from "./catalog.ts";
import {
  BackupConnectionError,
  ManifestMismatchError,
  ReplicationProtocolError,
  ReplicationServerError,
  UnsupportedServerError,
  WalGapError,
} from "./errors.ts";
import { Crc32c } from "./crc32c.ts";
import { type Collector, type CollectorEvents, FileCollector } from "./file-collector.ts";
import {
  type BackupInfo,
  backupInfo,
  type BackupManifest,
  type BackupTablespace,
  type FileEntry,
  type ManifestObject,
} from "./manifest.ts";
import { type BackupOptions, resolveBackupOptions, type ResolvedBackupOptions } from "./options.ts";
import {
  type BaseBackupEnd,
  runBaseBackup,
  type ServerCompression,
  type WalPosition,
} from "./replication/base-backup.ts";
import {
  lockBackups,
  readServerConfiguration,
  readServerFacts,
  readServerTime,
  type ServerFacts,
} from "./replication/server.ts";
import { stretchesBytes } from "./replication/byte-source.ts";
import { ReplicationSession } from "./replication/session.ts";
import { WalStream } from "./replication/wal-stream.ts";
import { type ClaimedLabel, claimLabel } from "./repository/label.ts";
import {
  backupPrefix,
  configurationName,
  dataKeyKey,
  filesName,
  manifestName,
  serverManifestName,
} from "./repository/layout.ts";
import { FrameThreads } from "./repository/frame-threads.ts";
import { packBytes, PackWriter } from "./repository/pack.ts";
import { encodeRecord } from "./repository/record.ts";
import type { DataKey } from "./repository/repository.ts";
import { type Compression, SealedWriter, type SealingOptions } from "./repository/sealed-object.ts";
import { type Storage, writeObject } from "./repository/storage.ts";
import { compareWithServerManifest, parseServerManifest } from "./server-manifest.ts";
import { WalCollector } from "./wal-collector.ts";

/** What a backup did. */
export interface BackupReport extends BackupInfo {
  readonly durationMs: number;
  /** Bytes of WAL stored with it, as the server has them. */
  readonly walBytes: number;
  /** Stored bytes by plain bytes, WAL included; 0.3 means 70 % smaller. */
  readonly ratio: number;
  /** Broken pages and the like; empty when all is well. */
  readonly findings: readonly Finding[];
}

/**
 * Takes a full physical backup through the replication protocol: files by `BASE_BACKUP`, the WAL they need by a second
 * stream on a temporary slot, everything compressed, encrypted when the repository is, compared with the server's
 * manifest, and made valid by one record written last.
 *
 * Memory does not grow with the database, except for the index of file names. On any failure nothing that lists as a
 * backup is left.
 * @throws {ReplicationRefusedError} @throws {BackupInProgressError} @throws {UnsupportedServerError}
 * @throws {BackupConnectionError} @throws {ReplicationServerError} @throws {WalGapError}
 * @throws {ManifestMismatchError} @throws {MissingKeyError} @throws {StorageError} @throws {AbortedError}
 */
export async function createBackup(options: BackupOptions): Promise<BackupReport> {
  const resolved = resolveBackupOptions(options);
  const { metrics, logger, clock } = resolved;
  const began = clock.now();
  try {
    const report = await takeBackup(resolved);
    metrics.count("db_backup_runs_total", { result: report.status });
    metrics.gauge("db_backup_suspect", report.status === "suspect" ? 1 : 0);
    metrics.gauge("db_backup_last_success_timestamp_seconds", clock.now() / 1000);
    metrics.gauge("db_backup_last_size_bytes", report.bytes);
    metrics.gauge("db_backup_last_stored_bytes", report.storedBytes);
    metrics.observe("db_backup_duration_seconds", report.durationMs / 1000);
    const { label, status, bytes, storedBytes, durationMs } = report;
    logger.info({ label, status, bytes, storedBytes, durationMs }, "backup complete");
    return report;
  } catch (error) {
    metrics.count("db_backup_runs_total", { result: "failed" });
    logger.error({ error: messageOf(error), durationMs: clock.now() - began }, "backup failed");
    throw error;
  }
}

async function takeBackup(options: ResolvedBackupOptions): Promise<BackupReport> {
  const { repository, clock } = options;
  const startedAt = clock.now();
  // One controller for both streams: when one fails, the other must not go on alone.
  const abort = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, abort.signal]) : abort.signal;
  const connect = (memory?: Buffer): Promise<ReplicationSession> =>
    ReplicationSession.connect({ ...options, memory, signal });
  // What comes is read into its memory, so that its checksum is made without one more copy.
  const checksum = new Crc32c(stretchesBytes);
  await using session = await connect(checksum.memory);
  const facts = await readServerFacts(session);
  if (options.serverCompression && facts.version < 150_000) {
    throw new UnsupportedServerError(`server version ${facts.version} cannot compress a backup`, {
      hint: "Servers compress from PostgreSQL 15 on: compress here (compression.by client).",
    });
  }
  await lockBackups(session);
  await repository.initialise(new Date(startedAt).toISOString());
  const { label, lease } = await freeLabel(options, facts.systemIdentifier, startedAt);
  await using _lease = lease;
  const dataKey = await repository.createDataKey(facts.systemIdentifier);
  const run = new BackupRun(options, facts, label, dataKey, signal);
  try {
    await using walSession = await connect();
    const manifest = await run.take(session, walSession, checksum, startedAt);
    const prefix = backupPrefix(facts.systemIdentifier, label);
    const record = encodeRecord(manifest, dataKey ? manifestMacKey(dataKey) : undefined);
    await writeObject(repository.storage, prefix + manifestName, record, { signal });
    return reportOf(manifest, clock.now() - startedAt);
  } catch (error) {
    abort.abort();
    await run.discard();
    throw error;
  } finally {
    await run.endThreads();
  }
}

/** Progress is told again after so many bytes. */
const progressBytes = 1024 * 1024;
const plain: Compression = { algorithm: "none", level: 0 };

/** One backup under way. */
class BackupRun {
  readonly #options: ResolvedBackupOptions;
  readonly #facts: ServerFacts;
  readonly #label: string;
  readonly #dataKeyId: string | null;
  readonly #storage: Storage;
  readonly #prefix: string;
  readonly #sealing: SealingOptions & { readonly signal: AbortSignal };
  readonly #threads: FrameThreads | undefined;
  readonly #packs: PackWriter;
  readonly #wal: WalCollector;
  #streaming: Promise<unknown> = Promise.resolve();

  constructor(
    options: ResolvedBackupOptions,
    facts: ServerFacts,
    label: string,
    dataKey: DataKey | undefined,
    signal: AbortSignal,
  ) {
    this.#options = options;
    this.#facts = facts;
    this.#label = label;
    this.#dataKeyId = dataKey?.id ?? null;
    this.#storage = options.repository.storage;
    this.#prefix = backupPrefix(facts.systemIdentifier, label);
    this.#sealing = { dataKey: dataKey?.bytes, compression: options.compression, signal };
    // What the server compressed does not become smaller here.
    const packed = options.serverCompression ? plain : options.compression;
    this.#threads = options.threads > 0 ? new FrameThreads(options.threads) : undefined;
    const packing = { ...this.#sealing, compression: packed, sealer: this.#threads };
    this.#packs = new PackWriter(this.#storage, this.#prefix, packing);
    this.#wal = new WalCollector(this.#storage, this.#prefix, facts.walSegmentBytes, this.#sealing);
  }

  async take(
    session: ReplicationSession,
    walSession: ReplicationSession,
    checksum: Crc32c,
    startedAt: number,
  ): Promise<BackupManifest> {
    const configuration = await readServerConfiguration(session);
    // The slot holds the WAL from before the backup's start until the last byte of it is stored.
    const slot = `db_backup_${randomBytes(6).toString("hex")}`;
    await walSession.query(`CREATE_REPLICATION_SLOT ${slot} TEMPORARY PHYSICAL RESERVE_WAL`);
    let wal: WalStream | undefined;
    let start: WalPosition | undefined;
    let tablespaces: readonly BackupTablespace[] = [];
    let received = 0;
    let told = 0;
    let total = 0;
    let lostStream: unknown;
    const walFailed = new AbortController();
    const tell = (): void => {
      told = received;
      const progress = { phase: "copy", current: received, unit: "bytes" } as const;
      this.#options.onProgress(total > 0 ? { ...progress, total: Math.max(total, received) } : progress);
    };
    const events: CollectorEvents = {
      begin: async (position, listed) => {
        start = position;
        total = listed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
        tablespaces = listed.flatMap(({ oid, location }) => (oid === undefined ? [] : [{ oid, location }]));
        const request = { startLsn: position.lsn, timeline: position.timeline, slot };
        wal = new WalStream(walSession, { ...request, segmentBytes: this.#facts.walSegmentBytes }, this.#wal);
        this.#streaming = wal.run();
        // Awaited below; until then its failure must not count as unhandled.
        this.#streaming.then(
          () => walFailed.abort(),
          (error: unknown) => {
            lostStream = error;
            walFailed.abort();
          },
        );
      },
      received: (bytes) => {
        // Without its WAL the rest of the files is worth nothing.
        if (lostStream !== undefined) throw explainLostStream(lostStream);
        received += bytes;
        if (told === 0 || received - told >= progressBytes) tell();
      },
    };
    const { checkpoint, maxRateBytes, serverCompression: compression, stallTimeoutMs } = this.#options;
    const collector: Collector = compression
      ? new ArchiveCollector(this.#packs, compression.algorithm, events)
      : new FileCollector(this.#packs, events, checksum);
    const major = Math.floor(this.#facts.version / 10_000);
    const label = `db ${this.#label}`.slice(0, 32);
    const request = { major, label, checkpoint, maxRateBytes, compression, stallTimeoutMs };
    const end = await runBaseBackup(session, request, collector).catch((error: unknown) => {
      throw explainPromotion(explainCompression(error, compression), this.#facts);
    });
    tell();
    // By the server's clock, as the times of transactions are: a target is compared with it.
    const stoppedAt = await readServerTime(session);
    if (!start || !wal) throw new ReplicationProtocolError("the server never began the backup");
    this.#checkTimeline(start, end);
    const packs = await this.#packs.finish();
    const serverManifest = collector.serverManifest;
    if (major >= 13) this.#compare(collector.entries, serverManifest);
    await this.#awaitWal(wal, walFailed.signal, end);
    // From here the stream may bring more than the backup needs: it ends before the last segment is settled.
    await walSession.close();
    await this.#streaming.catch(() => undefined);
    await this.#settleWal(wal, start, end);
    const objects: ManifestObject[] = [await this.#storeEntries(collector.entries)];
    if (serverManifest.length > 0) objects.push(await this.#storeObject(serverManifestName, [serverManifest]));
    objects.push(await this.#storeObject(configurationName, [Buffer.from(JSON.stringify(configuration))]));
    objects.push(...this.#wal.objects);
    return {
      format: "db-backup/1",
      label: this.#label,
      type: "full",
      parent: null,
      status: end.checksumErrors.length > 0 ? "suspect" : "complete",
      systemIdentifier: this.#facts.systemIdentifier,
      serverVersion: this.#facts.version,
      startedAt: new Date(startedAt).toISOString(),
      stoppedAt,
      startLsn: start.lsn,
      stopLsn: end.stop.lsn,
      timeline: start.timeline,
      fromStandby: this.#facts.inRecovery,
      files: collector.entries.filter(({ type }) => type === "file").length,
      bytes: collector.bytes,
      storedBytes: [...packs, ...objects].reduce((sum, { storedBytes }) => sum + storedBytes, 0),
      tablespaces,
      databases: this.#facts.databases,
      walSegmentBytes: this.#facts.walSegmentBytes,
      pageChecksums: this.#facts.pageChecksums,
      checksumErrors: end.checksumErrors,
      dataKeyId: this.#dataKeyId,
      compression: this.#options.compression,
      packBytes,
      packs,
      archives: collector.archives,
      objects,
      wal: this.#wal.segments,
    };
  }

  /** Removes what was stored; best effort, since without its record none of it counts. */
  async discard(): Promise<void> {
    try {
      // What the stream is just storing is not there to be removed before it is stored.
      await this.#streaming.catch(() => undefined);
      await this.#packs.abort();
      await this.#wal.abort();
      for await (const { key } of this.#storage.list(this.#prefix)) await this.#storage.remove(key);
      if (this.#dataKeyId !== null) {
        await this.#storage.remove(dataKeyKey(this.#facts.systemIdentifier, this.#dataKeyId));
      }
    } catch (error) {
      const fields = { label: this.#label, error: messageOf(error) };
      this.#options.logger.warn(fields, "could not remove what a failed backup stored");
    }
  }

  async endThreads(): Promise<void> {
    await this.#threads?.close();
  }

  #checkTimeline(start: WalPosition, end: BaseBackupEnd): void {
    if (start.timeline === end.stop.timeline) return;
    throw new WalGapError(
      `the server was promoted during the backup: timeline ${start.timeline} became ${end.stop.timeline}`,
      { hint: "Take the backup again." },
    );
  }

  #compare(entries: readonly FileEntry[], serverManifest: Buffer): void {
    const manifest = parseServerManifest(serverManifest);
    if (manifest.systemIdentifier !== undefined && manifest.systemIdentifier !== this.#facts.systemIdentifier) {
      throw new ManifestMismatchError("the server's manifest is of another cluster");
    }
    compareWithServerManifest(
      entries.filter(({ type }) => type === "file"),
      manifest,
    );
  }

  /** The end of the segment that holds the backup's last byte. */
  #segmentEnd(end: BaseBackupEnd): bigint {
    const segmentBytes = BigInt(this.#facts.walSegmentBytes);
    return ((parseLsn(end.stop.lsn) - 1n) / segmentBytes + 1n) * segmentBytes;
  }

  async #awaitWal(wal: WalStream, streamEnded: AbortSignal, end: BaseBackupEnd): Promise<void> {
    const stop = parseLsn(end.stop.lsn);
    const { signal } = this.#sealing;
    const bound = AbortSignal.any([signal, streamEnded, AbortSignal.timeout(this.#options.walTimeoutMs)]);
    this.#options.onProgress({ phase: "wal", current: 0, unit: "steps" });
    // A primary switches to a new segment when the backup stops, so the last one becomes whole. A standby cannot.
    await wal.reached(this.#facts.inRecovery ? stop : this.#segmentEnd(end), bound);
    if (signal.aborted) throw new AbortedError("the backup was aborted", { cause: signal.reason });
    if (wal.position >= stop) return;
    if (streamEnded.aborted) await this.#streaming;
    throw new WalGapError(`the WAL up to ${end.stop.lsn} did not arrive, only up to ${formatLsn(wal.position)}`, {
      hint: "Take the backup again, or raise walTimeoutMs on a slow network.",
    });
  }

  async #settleWal(wal: WalStream, start: WalPosition, end: BaseBackupEnd): Promise<void> {
    if (wal.position < this.#segmentEnd(end)) await this.#wal.padCurrent();
    else await this.#wal.abort();
    this.#checkSegments(start, parseLsn(end.stop.lsn));
  }

  /** Every segment from start to stop is stored, none missing. */
  #checkSegments(start: WalPosition, stop: bigint): void {
    const size = this.#facts.walSegmentBytes;
    const stored = new Set(this.#wal.segments.map(({ segment }) => segment));
    for (let lsn = parseLsn(start.lsn) / BigInt(size); lsn <= (stop - 1n) / BigInt(size); lsn++) {
      const segment = walSegmentName(start.timeline, lsn * BigInt(size), size);
      if (!stored.has(segment)) throw new WalGapError(`WAL segment ${segment} was not stored`);
    }
  }

  #storeEntries(entries: readonly FileEntry[]): Promise<ManifestObject> {
    const lines = function* (): Iterable<Buffer> {
      for (const entry of entries) yield Buffer.from(`${JSON.stringify(entry)}\n`);
    };
    return this.#storeObject(filesName, lines());
  }

  async #storeObject(name: string, chunks: Iterable<Buffer>): Promise<ManifestObject> {
    const writer = await SealedWriter.create(this.#storage, this.#prefix + name, this.#sealing);
    try {
      for (const chunk of chunks) await writer.write(chunk);
      return { name, ...(await writer.finish()) };
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }
}

/** A name no other backup in the repository has, of whatever cluster. */
async function freeLabel(
  { repository, signal, clock }: ResolvedBackupOptions,
  systemIdentifier: string,
  now: number,
): Promise<ClaimedLabel> {
  const { backups, unusable } = await readCatalog(repository, { signal });
  const taken = new Set([...backups, ...unusable].map(({ label }) => label));
  const prefixOf = (label: string): string => backupPrefix(systemIdentifier, label);
  return claimLabel(repository.storage, { kind: "F", taken, prefixOf, now, clock });
}

/** A server built without an algorithm says so only when it is asked for it. */
function explainCompression(error: unknown, compression: ServerCompression | undefined): unknown {
  if (!compression || !(error instanceof ReplicationServerError)) return error;
  if (!/build does not support|not supported by this build/.test(error.message)) return error;
  return new UnsupportedServerError(`the server cannot compress with ${compression.algorithm}`, {
    cause: error,
    hint: "Compress here (compression.by client), or with gzip.",
  });
}

/** A standby ends its backup when it is promoted; 55000 is also what a primary without full_page_writes makes it say. */
function explainPromotion(error: unknown, { inRecovery }: ServerFacts): unknown {
  if (!inRecovery || !(error instanceof ReplicationServerError) || error.sqlState !== "55000") return error;
  return new WalGapError(`the standby ended its backup: ${error.message}`, {
    cause: error,
    hint: "Take the backup again; if the standby was not promoted, full_page_writes must be on on the primary.",
  });
}

/** A server that takes the slot away says so, or only closes the connection. */
function explainLostStream(error: unknown): unknown {
  const hint = "Take the backup again; if it repeats, raise max_slot_wal_keep_size and see the server's log.";
  const what = `the backup's WAL stream was lost: ${messageOf(error)}`;
  if (error instanceof ReplicationServerError) return new WalGapError(what, { cause: error, hint });
  if (error instanceof BackupConnectionError) return new BackupConnectionError(what, { cause: error, hint });
  return error;
}

function reportOf(manifest: BackupManifest, durationMs: number): BackupReport {
  const walBytes = manifest.wal.length * manifest.walSegmentBytes;
  const findings: Finding[] = [];
  const broken = manifest.checksumErrors.length;
  if (broken > 0) {
    findings.push({
      id: "BACKUP-SUSPECT",
      severity: "critical",
      title: `the server found ${broken} broken ${broken === 1 ? "page" : "pages"} while sending ${manifest.label}`,
      subject: manifest.label,
      observed: broken,
      threshold: 0,
      hint: "Find the damaged relation in the server's log, keep older backups, and restore it from one of them.",
    });
  }
  return {
    ...backupInfo(manifest, null),
    durationMs,
    walBytes,
    ratio: manifest.storedBytes / Math.max(1, manifest.bytes + walBytes),
    findings,
  };
}
