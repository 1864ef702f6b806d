import { chmod, chown, lchown, mkdir, open, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AbortedError, isDbError, messageOf } from "@db/core";
import { openBackup, type OpenedBackup } from "./catalog.ts";
import {
  CorruptObjectError,
  InvalidBackupOptionsError,
  NotConfirmedError,
  StorageError,
  UnsafePathError,
} from "./errors.ts";
import type { FileEntry } from "./manifest.ts";
import { isSegmentName } from "./manifest-names.ts";
import { type JobOptions, resolveJobOptions, type ResolvedJobOptions } from "./options.ts";
import type { ServerConfiguration } from "./replication/server.ts";
import { configurationName, filesName } from "./repository/layout.ts";
import { shareLease } from "./repository/lease.ts";
import { syncDirectory } from "./repository/local-storage.ts";
import type { Repository } from "./repository/repository.ts";
import { missingConfiguration, recoveryConfiguration } from "./restore-configuration.ts";
import type { RestorePlan } from "./restore-plan.ts";
import { putBack, takePlace } from "./replaced-cluster.ts";
import { clearTargetDirectory, unfinishedMark } from "./restore-target-directory.ts";
import { Background, createRestoredFile } from "./restored-file.ts";
import { removeStrays, reuseFile } from "./reusable-files.ts";
import { type FileSink, parseFileIndex, readBackupObject, readStoredFiles } from "./stored-files.ts";
import { type PlannedSegment, readArchivedSegment, readWalSegment } from "./wal-inventory.ts";
import { WalArchive } from "./wal/archive.ts";

/** What to execute. */
export interface RestoreOptions extends JobOptions {
  readonly repository: Repository;
  /** From `planRestore`; executed as it is. */
  readonly plan: RestorePlan;
  /** Who shall own the files when this process is root: the server's account. Default: whoever runs this. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** The name of what is replaced, as the plan has it in `replaces`. Needed where that is not empty. */
  readonly confirm?: string | undefined;
  /** False skips waiting for the disk, for copies nobody will miss. Default true. */
  readonly durable?: boolean | undefined;
  /**
   * Threads that decrypt and decompress, 0 to 16. Default: one fewer than there are processors (as many of gzip), 1 to 4;
   * none below 64 MB.
   */
  readonly workers?: number | undefined;
}

/** What a restore did. */
export interface RestoreReport {
  readonly label: string;
  readonly directory: string;
  readonly files: number;
  /** Of these, the files that were there already and are as the backup has them. */
  readonly reusedFiles: number;
  /** Bytes written, WAL included. */
  readonly bytes: number;
  readonly walSegments: number;
  readonly durationMs: number;
  readonly bytesPerSecond: number;
}

const controlFile = "global/pg_control";
const controlFileUntilDone = "global/pg_control.unfinished";
const mostSyncing = 2;
const mostWorkers = 16;

/**
 * Executes a restore plan: every file is checked as it is written, `pg_control` gets its name last, so that no server
 * starts on a half-restored directory. A cluster that is replaced is moved aside first and stays whole there; files
 * it shares with the backup are copied from it. A restore that was cut short goes on where it was when it is planned
 * and run again; one that was aborted or finds a fault in the repository removes what it wrote, and puts the former
 * cluster back.
 * @throws {CorruptObjectError} @throws {DirectoryNotEmptyError} @throws {MissingKeyError} @throws {StorageError}
 * @throws {NotConfirmedError} @throws {AbortedError}
 */
export async function restoreBackup(options: RestoreOptions): Promise<RestoreReport> {
  const { plan, repository } = options;
  const job = resolveJobOptions(options);
  if (plan.repository !== repository.location) {
    throw new InvalidBackupOptionsError(`the plan is for the repository ${plan.repository}`, {
      hint: "Plan again with the repository given here.",
    });
  }
  checkWorkers(options.workers);
  checkSegments(plan);
  checkConfirmation(plan, options.confirm);
  const began = job.clock.now();
  await using _lease = await leaseFor(repository, plan.backup.label, job);
  const backup = await openBackup(repository, plan.backup);
  const directories = [plan.directory, ...plan.tablespaces.map(({ to }) => to)];
  const moved = await takePlace(plan, directories, job);
  const restore = new Restore(options, backup, job);
  try {
    const { files, reusedFiles } = await restore.run();
    const durationMs = job.clock.now() - began;
    job.metrics.count("db_backup_restores_total", { result: "complete" });
    job.metrics.observe("db_backup_restore_duration_seconds", durationMs / 1000);
    job.logger.info({ label: plan.backup.label, directory: plan.directory, durationMs }, "restore complete");
    return {
      label: plan.backup.label,
      directory: plan.directory,
      files,
      reusedFiles,
      bytes: plan.bytes,
      walSegments: plan.wal.length,
      durationMs,
      bytesPerSecond: Math.round(plan.bytes / Math.max(0.001, durationMs / 1000)),
    };
  } catch (error) {
    await restore.abandon();
    job.metrics.count("db_backup_restores_total", { result: "failed" });
    job.logger.error({ label: plan.backup.label, error: messageOf(error) }, "restore failed");
    // Where the disk or the network gave out, what is whole is of use to the next attempt.
    const resumable = isDbError(explainWriteError(error, ""), "BACKUP_STORAGE");
    if (!resumable) {
      for (const directory of directories) await clearTargetDirectory(directory).catch(() => undefined);
      await putBack(moved, job);
    }
    throw explainWriteError(error, plan.directory);
  }
}

function checkWorkers(workers: number | undefined): void {
  if (workers === undefined || (Number.isInteger(workers) && workers >= 0 && workers <= mostWorkers)) return;
  throw new InvalidBackupOptionsError(`workers is ${workers}`, {
    hint: `Give a whole number from 0 to ${mostWorkers}.`,
  });
}

/** A plan may come from a file: its names become paths. */
function checkSegments({ wal }: RestorePlan): void {
  const unsafe = wal.find(({ segment }) => !isSegmentName(segment));
  if (!unsafe) return;
  throw new UnsafePathError(`the plan names a WAL segment ${JSON.stringify(unsafe.segment)}`, { hint: "Plan again." });
}

function checkConfirmation(plan: RestorePlan, confirm: string | undefined): void {
  const replaced = plan.replaces[0];
  if (replaced === undefined || confirm === replaced.directory) return;
  throw new NotConfirmedError(
    `the restore replaces the cluster in ${replaced.directory}${confirm === undefined ? "" : `, not ${confirm}`}`,
    { hint: `Confirm with its name, ${replaced.directory}; it is kept as ${replaced.keptAs}.` },
  );
}

/** Keeps expiry away from the backup; a repository that cannot be written to, nobody expires either. */
async function leaseFor(
  repository: Repository,
  label: string,
  { clock, logger }: ResolvedJobOptions,
): Promise<AsyncDisposable | undefined> {
  try {
    return await shareLease(repository.storage, label, clock);
  } catch (error) {
    if (!isDbError(error, "BACKUP_STORAGE")) throw error;
    logger.debug({ error: messageOf(error) }, "the repository is read without a lease");
    return undefined;
  }
}

/** One restore under way. */
class Restore {
  readonly #plan: RestorePlan;
  readonly #repository: Repository;
  readonly #backup: OpenedBackup;
  readonly #job: ResolvedJobOptions;
  readonly #owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly #durable: boolean;
  readonly #workers: number | undefined;
  /** The directories of the tablespaces, by the oid that names them below pg_tblspc. */
  readonly #tablespaces: ReadonlyMap<string, string>;
  readonly #background = new Background(mostSyncing);
  readonly #directories: string[] = [];
  /** Of every file; those of directories follow. 0640 where the cluster lets its group read (initdb --allow-group-access). */
  #fileMode = 0o600;
  #bytes = 0;

  constructor(options: RestoreOptions, backup: OpenedBackup, job: ResolvedJobOptions) {
    this.#plan = options.plan;
    this.#repository = options.repository;
    this.#backup = backup;
    this.#job = job;
    this.#owner = options.owner;
    this.#durable = options.durable ?? true;
    this.#workers = options.workers;
    this.#tablespaces = new Map(options.plan.tablespaces.map(({ oid, to }) => [oid, to]));
  }

  /** Waits for what is still under way after a failure. */
  abandon(): Promise<void> {
    return this.#background.abandon();
  }

  async run(): Promise<{ readonly files: number; readonly reusedFiles: number }> {
    const { signal } = this.#job;
    const raw = await readBackupObject(this.#repository, this.#backup, filesName, signal);
    const entries = parseFileIndex(raw, this.#backup.prefix + filesName);
    const control = entries.find(({ path }) => path === controlFile);
    if (!control || !entries.some(({ path }) => path === "backup_label")) {
      throw new CorruptObjectError(this.#backup.prefix + filesName, "lacks pg_control or backup_label");
    }
    if ((control.mode & 0o040) !== 0) this.#fileMode = 0o640;
    await this.#clear(entries);
    await this.#makeDirectories(entries);
    const files = entries.filter(({ type }) => type === "file");
    const missing = await this.#reuse(files);
    await readStoredFiles(this.#repository, this.#backup, missing, (entry) => this.#openFile(entry), {
      onBytes: (bytes) => this.#progress(bytes),
      signal,
      workers: this.#workers,
    });
    for (const planned of this.#plan.wal) await this.#writeSegment(planned);
    for (const timeline of this.#plan.histories) await this.#writeHistory(timeline);
    // The configuration goes on from files written a moment ago.
    await this.#background.settle();
    await this.#writeConfiguration(entries);
    await this.#sync();
    if (signal?.aborted) throw new AbortedError("the restore was aborted", { cause: signal.reason });
    await rename(this.#pathOf(controlFileUntilDone), this.#pathOf(controlFile));
    await this.#removeMarks();
    return { files: files.length, reusedFiles: files.length - missing.length };
  }

  /** Removes what an earlier attempt left and this backup does not have. */
  async #clear(entries: readonly FileEntry[]): Promise<void> {
    if (!this.#plan.resumes) return;
    const paths = new Set<string>([unfinishedMark]);
    for (const { path, type } of entries) {
      if (type === "link") continue;
      const parts = path.split("/");
      for (let length = 1; length <= parts.length; length++) paths.add(parts.slice(0, length).join("/"));
    }
    await removeStrays(this.#plan.directory, (path) => paths.has(path) && !/^pg_tblspc\/\d+$/.test(path));
    for (const [oid, directory] of this.#tablespaces) {
      await removeStrays(directory, (path) => path === unfinishedMark || paths.has(`pg_tblspc/${oid}/${path}`));
    }
  }

  /** Puts files to use that are there already. @returns those that are not */
  async #reuse(files: readonly FileEntry[]): Promise<FileEntry[]> {
    if (!this.#plan.resumes && Object.keys(this.#plan.former).length === 0) return [...files];
    const missing: FileEntry[] = [];
    for (const entry of files) {
      if (this.#job.signal?.aborted) throw new AbortedError("the restore was aborted");
      const path = this.#pathOf(entry.path);
      if (!(await reuseFile(entry, path, this.#formerPathOf(entry.path)))) missing.push(entry);
      else {
        this.#progress(entry.sizeBytes);
        await this.#settleReused(path, entry.mtime);
      }
    }
    return missing;
  }

  async #settleReused(path: string, mtime: number): Promise<void> {
    await chmod(path, this.#fileMode);
    if (this.#owner) await chown(path, this.#owner.uid, this.#owner.gid);
    await this.#background.add(async () => {
      await using file = await open(path, "r+");
      await file.utimes(mtime, mtime);
      if (this.#durable) await file.sync();
    });
  }

  /** Where the cluster that was moved aside has a file. */
  #formerPathOf(path: string): string | undefined {
    const [, oid, rest] = /^pg_tblspc\/(\d+)\/(.+)$/.exec(path) ?? [];
    const tablespace = oid === undefined ? undefined : this.#tablespaces.get(oid);
    const former = this.#plan.former[tablespace ?? this.#plan.directory];
    return former === undefined ? undefined : join(former, tablespace === undefined ? path : rest!);
  }

  #progress(bytes: number): void {
    this.#bytes += bytes;
    this.#job.onProgress({ phase: "restore", current: this.#bytes, total: this.#plan.bytes, unit: "bytes" });
  }

  /** Where an entry goes: through no symbolic link, so that none can lead elsewhere. */
  #pathOf(path: string): string {
    const [, oid, rest] = /^pg_tblspc\/(\d+)\/(.+)$/.exec(path) ?? [];
    const tablespace = oid === undefined ? undefined : this.#tablespaces.get(oid);
    return tablespace === undefined ? join(this.#plan.directory, path) : join(tablespace, rest!);
  }

  async #makeDirectories(entries: readonly FileEntry[]): Promise<void> {
    const made = new Set<string>([this.#plan.directory, ...this.#tablespaces.values()]);
    for (const directory of made) await this.#own(directory);
    const make = async (directory: string): Promise<void> => {
      if (made.has(directory)) return;
      await make(dirname(directory));
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await this.#own(directory);
      made.add(directory);
    };
    // The server does not start without these two, and an archive may leave empty directories out.
    await make(this.#pathOf("pg_wal/archive_status"));
    for (const { path, type, target } of entries) {
      if (type === "directory") await make(this.#pathOf(path));
      else if (type === "link") await this.#makeLink(path, target);
      else await make(dirname(this.#pathOf(path)));
    }
    this.#directories.push(...made);
  }

  async #makeLink(path: string, target: string): Promise<void> {
    const oid = /^pg_tblspc\/(\d+)$/.exec(path)?.[1];
    const directory = oid === undefined ? undefined : this.#tablespaces.get(oid);
    if (directory === undefined) {
      throw new UnsafePathError(`the backup holds a symbolic link ${path} that is no tablespace`, {
        hint: `It points to ${target}; restore another backup.`,
      });
    }
    const link = join(this.#plan.directory, path);
    await mkdir(dirname(link), { recursive: true, mode: 0o700 });
    await rm(link, { force: true });
    await symlink(directory, link, "junction");
    if (this.#owner) await lchown(link, this.#owner.uid, this.#owner.gid);
  }

  async #openFile(entry: FileEntry): Promise<FileSink> {
    const path = this.#pathOf(entry.path === controlFile ? controlFileUntilDone : entry.path);
    return this.#newFile(path, entry.mtime);
  }

  async #newFile(path: string, mtime?: number): Promise<FileSink> {
    return createRestoredFile(path, {
      mtime,
      mode: this.#fileMode,
      owner: this.#owner,
      durable: this.#durable,
      background: this.#background,
    });
  }

  async #writeSegment(planned: PlannedSegment): Promise<void> {
    const content = await this.#openSegment(planned);
    const sink = await this.#newFile(this.#pathOf(`pg_wal/${planned.segment}`));
    try {
      for await (const chunk of content) {
        await sink.write(chunk);
        this.#progress(chunk.length);
      }
      await sink.end();
    } catch (error) {
      await sink.abort();
      throw error;
    }
  }

  async #openSegment(planned: PlannedSegment): Promise<AsyncIterable<Buffer>> {
    const { signal } = this.#job;
    const { manifest } = this.#backup;
    if (planned.backup === null) {
      return readArchivedSegment(this.#archive(), planned, manifest.walSegmentBytes, signal);
    }
    const own = planned.backup === this.#plan.backup.label;
    const id = { ...this.#plan.backup, label: planned.backup };
    const backup = own ? this.#backup : await openBackup(this.#repository, id);
    return readWalSegment(this.#repository, backup, planned.segment, signal);
  }

  async #writeHistory(timeline: number): Promise<void> {
    const name = `${timeline.toString(16).toUpperCase().padStart(8, "0")}.history`;
    await this.#writeText(`pg_wal/${name}`, await this.#archive().readText(name));
  }

  #archive(): WalArchive {
    return new WalArchive(this.#repository, this.#backup.manifest.systemIdentifier);
  }

  async #writeConfiguration(entries: readonly FileEntry[]): Promise<void> {
    const raw = await readBackupObject(this.#repository, this.#backup, configurationName, this.#job.signal);
    const configuration = JSON.parse(raw.toString("utf8")) as ServerConfiguration;
    const paths = new Set(entries.map(({ path }) => path));
    for (const [name, text] of missingConfiguration(configuration, paths)) await this.#writeText(name, text);
    const kept = await readFile(this.#pathOf("postgresql.auto.conf"), "utf8").catch(() => "");
    const main = await readFile(this.#pathOf("postgresql.conf"), "utf8").catch(() => "");
    const text = recoveryConfiguration(kept, main, configuration, this.#plan.settings);
    await this.#writeText("postgresql.auto.conf", text);
    // A backup of a standby brings its own signal, which would keep the copy in recovery for ever.
    await rm(this.#pathOf("standby.signal"), { force: true });
    await this.#writeText(this.#plan.signalFile, "");
  }

  async #writeText(name: string, text: string): Promise<void> {
    const path = this.#pathOf(name);
    await writeFile(path, text, { mode: 0o600 });
    if (this.#fileMode !== 0o600) await chmod(path, this.#fileMode);
    if (this.#owner) await chown(path, this.#owner.uid, this.#owner.gid);
    if (!this.#durable) return;
    await using file = await open(path, "r+");
    await file.sync();
  }

  async #own(directory: string): Promise<void> {
    await chmod(directory, this.#fileMode === 0o600 ? 0o700 : 0o750);
    if (this.#owner) await chown(directory, this.#owner.uid, this.#owner.gid);
  }

  /** Waits until every file is where it belongs for good, and sees to the directories. */
  async #sync(): Promise<void> {
    await this.#background.settle();
    if (!this.#durable) return;
    for (const [index, directory] of this.#directories.entries()) {
      await syncDirectory(directory);
      const progress = { phase: "sync", current: index + 1, total: this.#directories.length, unit: "files" } as const;
      this.#job.onProgress(progress);
    }
  }

  async #removeMarks(): Promise<void> {
    const directories = [...this.#tablespaces.values(), this.#plan.directory];
    if (this.#durable) await syncDirectory(dirname(this.#pathOf(controlFile)));
    for (const directory of directories) {
      await rm(join(directory, unfinishedMark));
      if (this.#durable) await syncDirectory(directory);
    }
  }
}

function explainWriteError(error: unknown, directory: string): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code !== "ENOSPC" && code !== "EACCES" && code !== "EPERM" && code !== "EROFS") return error;
  return new StorageError(`cannot write into ${directory}: ${messageOf(error)}`, {
    cause: error,
    hint: code === "ENOSPC" ? "Free space there; the plan says how much." : "Give this user the right to write there.",
  });
}
