import {
  chmod,
  chown,
  type FileHandle,
  lchown,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { AbortedError, isDbError, messageOf } from "@db/core";
import { openBackup, type OpenedBackup } from "./catalog.ts";
import { CorruptObjectError, InvalidBackupOptionsError, StorageError, UnsafePathError } from "./errors.ts";
import type { FileEntry } from "./manifest.ts";
import { type JobOptions, resolveJobOptions, type ResolvedJobOptions } from "./options.ts";
import { recoveryTargetSettings, renderSettings } from "./recovery-target.ts";
import type { ServerConfiguration } from "./replication/server.ts";
import { configurationName, filesName } from "./repository/layout.ts";
import { shareLease } from "./repository/lease.ts";
import { syncDirectory } from "./repository/local-storage.ts";
import type { Repository } from "./repository/repository.ts";
import type { RestorePlan } from "./restore-plan.ts";
import { claimTargetDirectory, clearTargetDirectory, unfinishedMark } from "./restore-target-directory.ts";
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
  /** False skips waiting for the disk, for copies nobody will miss. Default true. */
  readonly durable?: boolean | undefined;
}

/** What a restore did. */
export interface RestoreReport {
  readonly label: string;
  readonly directory: string;
  readonly files: number;
  /** Bytes written, WAL included. */
  readonly bytes: number;
  readonly walSegments: number;
  readonly durationMs: number;
  readonly bytesPerSecond: number;
}

const controlFile = "global/pg_control";
const controlFileUntilDone = "global/pg_control.unfinished";

/**
 * Executes a restore plan: every file is checked as it is written, `pg_control` gets its name last, so that no server
 * starts on a half-restored directory. When something differs, everything written is removed again.
 * @throws {CorruptObjectError} @throws {DirectoryNotEmptyError} @throws {MissingKeyError} @throws {StorageError}
 * @throws {AbortedError}
 */
export async function restoreBackup(options: RestoreOptions): Promise<RestoreReport> {
  const { plan, repository } = options;
  const job = resolveJobOptions(options);
  if (plan.repository !== repository.location) {
    throw new InvalidBackupOptionsError(`the plan is for the repository ${plan.repository}`, {
      hint: "Plan again with the repository given here.",
    });
  }
  const began = job.clock.now();
  await using _lease = await leaseFor(repository, plan.backup.label, job);
  const backup = await openBackup(repository, plan.backup);
  const directories = [plan.directory, ...plan.tablespaces.map(({ to }) => to)];
  for (const directory of directories) await claimTargetDirectory(directory);
  const restore = new Restore(options, backup, job);
  try {
    const files = await restore.run();
    const durationMs = job.clock.now() - began;
    job.metrics.count("db_backup_restores_total", { result: "complete" });
    job.metrics.observe("db_backup_restore_duration_seconds", durationMs / 1000);
    job.logger.info({ label: plan.backup.label, directory: plan.directory, durationMs }, "restore complete");
    return {
      label: plan.backup.label,
      directory: plan.directory,
      files,
      bytes: plan.bytes,
      walSegments: plan.wal.length,
      durationMs,
      bytesPerSecond: Math.round(plan.bytes / Math.max(0.001, durationMs / 1000)),
    };
  } catch (error) {
    job.metrics.count("db_backup_restores_total", { result: "failed" });
    job.logger.error({ label: plan.backup.label, error: messageOf(error) }, "restore failed");
    for (const directory of directories) await clearTargetDirectory(directory).catch(() => undefined);
    throw explainWriteError(error, plan.directory);
  }
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
  /** The directories of the tablespaces, by the oid that names them below pg_tblspc. */
  readonly #tablespaces: ReadonlyMap<string, string>;
  readonly #written: string[] = [];
  readonly #directories: string[] = [];
  #bytes = 0;

  constructor(options: RestoreOptions, backup: OpenedBackup, job: ResolvedJobOptions) {
    this.#plan = options.plan;
    this.#repository = options.repository;
    this.#backup = backup;
    this.#job = job;
    this.#owner = options.owner;
    this.#durable = options.durable ?? true;
    this.#tablespaces = new Map(options.plan.tablespaces.map(({ oid, to }) => [oid, to]));
  }

  async run(): Promise<number> {
    const { signal } = this.#job;
    const raw = await readBackupObject(this.#repository, this.#backup, filesName, signal);
    const entries = parseFileIndex(raw, this.#backup.prefix + filesName);
    if (!entries.some(({ path }) => path === controlFile) || !entries.some(({ path }) => path === "backup_label")) {
      throw new CorruptObjectError(this.#backup.prefix + filesName, "lacks pg_control or backup_label");
    }
    await this.#makeDirectories(entries);
    await readStoredFiles(this.#repository, this.#backup, entries, (entry) => this.#openFile(entry), {
      onBytes: (bytes) => this.#progress(bytes),
      signal,
    });
    for (const planned of this.#plan.wal) await this.#writeSegment(planned);
    for (const timeline of this.#plan.histories) await this.#writeHistory(timeline);
    await this.#writeConfiguration(entries);
    await this.#sync();
    if (signal?.aborted) throw new AbortedError("the restore was aborted", { cause: signal.reason });
    await rename(this.#pathOf(controlFileUntilDone), this.#pathOf(controlFile));
    await this.#removeMarks();
    return entries.filter(({ type }) => type === "file").length;
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
    await symlink(directory, link, "junction");
    if (this.#owner) await lchown(link, this.#owner.uid, this.#owner.gid);
  }

  async #openFile(entry: FileEntry): Promise<FileSink> {
    const path = this.#pathOf(entry.path === controlFile ? controlFileUntilDone : entry.path);
    return this.#newFile(path, entry.mtime);
  }

  async #newFile(path: string, mtime?: number): Promise<FileSink> {
    // Exclusive: a path that comes twice, or that somebody made meanwhile, is a fault.
    const file: FileHandle = await open(path, "wx", 0o600);
    this.#written.push(path);
    return {
      write: async (chunk) => {
        let at = 0;
        while (at < chunk.length) at += (await file.write(chunk, at, chunk.length - at)).bytesWritten;
      },
      end: async () => {
        if (mtime !== undefined) await file.utimes(mtime, mtime);
        if (this.#owner) await file.chown(this.#owner.uid, this.#owner.gid);
        await file.close();
      },
      abort: () => file.close().catch(() => undefined),
    };
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
    // Where the server keeps its configuration elsewhere (Debian), the data directory alone would not start.
    const defaults: readonly (readonly [string, string])[] = [
      ["postgresql.conf", "# The cluster's own configuration lay outside its data directory.\n"],
      [
        "pg_hba.conf",
        configuration.files["hba_file"] ?? "local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\n",
      ],
      ["pg_ident.conf", configuration.files["ident_file"] ?? ""],
    ];
    for (const [name, text] of defaults) if (!paths.has(name)) await this.#writeText(name, text);
    const auto = this.#pathOf("postgresql.auto.conf");
    const kept = silenceOldTargets(await readFile(auto, "utf8").catch(() => ""));
    const settings = { ...recoveryMinima(configuration), ...this.#plan.settings };
    await this.#writeText("postgresql.auto.conf", `${kept}\n# Written by the restore.\n${renderSettings(settings)}`);
    // A backup of a standby brings its own signal, which would keep the copy in recovery for ever.
    await rm(this.#pathOf("standby.signal"), { force: true });
    await this.#writeText(this.#plan.signalFile, "");
  }

  async #writeText(name: string, text: string): Promise<void> {
    const path = this.#pathOf(name);
    await writeFile(path, text, { mode: 0o600 });
    if (this.#owner) await chown(path, this.#owner.uid, this.#owner.gid);
    if (!this.#written.includes(path)) this.#written.push(path);
  }

  async #own(directory: string): Promise<void> {
    await chmod(directory, 0o700);
    if (this.#owner) await chown(directory, this.#owner.uid, this.#owner.gid);
  }

  async #sync(): Promise<void> {
    if (!this.#durable) return;
    let done = 0;
    const queue = this.#written.values();
    const work = async (): Promise<void> => {
      for (const path of queue) {
        if (path === this.#pathOf("standby.signal")) continue;
        const file = await open(path, "r+");
        try {
          await file.sync();
        } finally {
          await file.close();
        }
        this.#job.onProgress({ phase: "sync", current: ++done, total: this.#written.length, unit: "files" });
      }
    };
    await Promise.all(Array.from({ length: 8 }, work));
    for (const directory of this.#directories) await syncDirectory(directory);
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

/** Comments out what an earlier recovery left, so that only this restore's target counts. */
function silenceOldTargets(text: string): string {
  const names = new Set([...recoveryTargetSettings, "restore_command"]);
  return text
    .split("\n")
    .map((line) => (names.has(/^\s*(\w+)/.exec(line)?.[1]?.toLowerCase() ?? "") ? `# ${line}` : line))
    .join("\n")
    .trimEnd();
}

// A standby or a recovering server needs these at least as high as the server that wrote the WAL had them.
const minimaNames: ReadonlySet<string> = new Set([
  "max_connections",
  "max_worker_processes",
  "max_wal_senders",
  "max_prepared_transactions",
  "max_locks_per_transaction",
]);

/** Those the data directory's own files do not say: set on the command line, or in a file outside of it. */
function recoveryMinima(configuration: ServerConfiguration): Record<string, string> {
  const outside = configuration.files["config_file"] !== undefined;
  return Object.fromEntries(
    configuration.settings
      .filter(({ name, source }) => minimaNames.has(name) && (outside || source === "command line"))
      .map(({ name, value }) => [name, value]),
  );
}

function explainWriteError(error: unknown, directory: string): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code !== "ENOSPC" && code !== "EACCES" && code !== "EPERM" && code !== "EROFS") return error;
  return new StorageError(`cannot write into ${directory}: ${messageOf(error)}`, {
    cause: error,
    hint: code === "ENOSPC" ? "Free space there; the plan says how much." : "Give this user the right to write there.",
  });
}
