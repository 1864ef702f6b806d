import { createHash } from "node:crypto";
import { type Finding, isDbError, messageOf } from "@db/core";
import { listBackups, markVerified, openBackup, readCatalog, type UnusableBackup } from "./catalog.ts";
import { BackupNotFoundError, CorruptObjectError, ObjectNotFoundError } from "./errors.ts";
import type { BackupManifest } from "./manifest.ts";
import { type JobOptions, resolveJobOptions, type ResolvedJobOptions } from "./options.ts";
import {
  backupPrefix,
  dataKeyKey,
  filesName,
  journalPrefix,
  manifestName,
  markName,
  readmeKey,
  rescueKey,
  serverManifestName,
  verificationName,
} from "./repository/layout.ts";
import { readRecord, type Repository } from "./repository/repository.ts";
import { checkSealed } from "./repository/sealed-object.ts";
import { readObject } from "./repository/storage.ts";
import { blockBytesOf, PageSurvey } from "./page-survey.ts";
import { compareWithServerManifest, parseServerManifest } from "./server-manifest.ts";
import { parseFileIndex, readBackupObject, readStoredFiles } from "./stored-files.ts";
import { readWalSegment } from "./wal-inventory.ts";

/**
 * How much is read. Listing: every object is there with its size. Checksums: every stored byte is read and its digest
 * compared; needs no key. Deep: everything is decrypted and decompressed, and every file compared with its checksum and
 * with the server's manifest; where the cluster has page checksums, every page with its own.
 */
export type VerifyDepth = "listing" | "checksums" | "deep";

/** What to verify. */
export interface VerifyOptions extends JobOptions {
  readonly repository: Repository;
  /** Default: all backups and the repository's own files. */
  readonly label?: string | undefined;
  /** Default `checksums`. */
  readonly depth?: VerifyDepth | undefined;
  /** True writes down that the backup was verified, which retention counts. Default true, except for a listing. */
  readonly record?: boolean | undefined;
}

/** What verification found. */
export interface VerifyReport {
  readonly depth: VerifyDepth;
  /** True when there is no critical finding. */
  readonly ok: boolean;
  readonly backups: readonly { readonly label: string; readonly ok: boolean; readonly bytes: number }[];
  /** Stored bytes read. */
  readonly bytes: number;
  readonly durationMs: number;
  readonly findings: readonly Finding[];
}

/**
 * Reads backups back and says what is wrong with them. A fault is a finding; only what keeps it from looking is thrown.
 * @throws {BackupNotFoundError} @throws {MissingKeyError} for depth `deep`
 * @throws {AbortedError} @throws {StorageError}
 */
export async function verifyBackup(options: VerifyOptions): Promise<VerifyReport> {
  const { repository, label } = options;
  const depth = options.depth ?? "checksums";
  const job = resolveJobOptions(options);
  await repository.refresh();
  if (depth === "deep") repository.requireKey();
  const began = job.clock.now();
  const { backups, unusable } = await readCatalog(repository, { signal: job.signal });
  const chosen = label === undefined ? backups : backups.filter((backup) => backup.label === label);
  const broken = label === undefined ? unusable : unusable.filter((backup) => backup.label === label);
  if (label !== undefined && chosen.length === 0 && broken.length === 0) {
    throw new BackupNotFoundError(`no backup "${label}" in ${repository.location}`, {
      hint: "List what is there: db backup list.",
    });
  }
  const findings: Finding[] = broken.map((backup) => unusableFinding(backup, label !== undefined));
  if (label === undefined) findings.push(...(await checkDocuments(repository)));
  const results: { label: string; ok: boolean; bytes: number }[] = [];
  for (const { label: name, systemIdentifier } of chosen) {
    const check = new BackupCheck(repository, systemIdentifier, name, job);
    const found = await check.run(depth);
    findings.push(...found);
    results.push({ label: name, ok: found.length === 0, bytes: check.bytes });
    if (found.length === 0 && depth !== "listing" && (options.record ?? true)) {
      const verifiedAt = new Date(job.clock.now()).toISOString();
      await markVerified(repository, systemIdentifier, { label: name, depth, verifiedAt });
    }
  }
  const ok = !findings.some(({ severity }) => severity === "critical");
  job.metrics.count("db_backup_verifications_total", { result: ok ? "ok" : "faulty" });
  const bytes = results.reduce((sum, result) => sum + result.bytes, 0);
  return { depth, ok, backups: results, bytes, durationMs: job.clock.now() - began, findings };
}

/** The verification of one backup. */
class BackupCheck {
  readonly #repository: Repository;
  readonly #id: { readonly systemIdentifier: string; readonly label: string };
  readonly #label: string;
  readonly #prefix: string;
  readonly #job: ResolvedJobOptions;
  readonly #findings: Finding[] = [];
  bytes = 0;

  constructor(repository: Repository, systemIdentifier: string, label: string, job: ResolvedJobOptions) {
    this.#repository = repository;
    this.#id = { systemIdentifier, label };
    this.#label = label;
    this.#prefix = backupPrefix(systemIdentifier, label);
    this.#job = job;
  }

  async run(depth: VerifyDepth): Promise<readonly Finding[]> {
    let manifest: BackupManifest | undefined;
    await this.#watch(async () => {
      manifest = await readRecord<BackupManifest>(this.#repository.storage, this.#prefix + manifestName);
      await this.#checkKey(manifest);
    });
    if (!manifest) return this.#findings;
    await this.#checkListing(manifest);
    if (depth !== "listing") await this.#checkObjects(manifest);
    // What the objects already lost cannot be read any deeper.
    if (depth === "deep" && this.#findings.length === 0) await this.#watch(() => this.#checkFiles());
    return this.#findings;
  }

  async #checkKey(manifest: BackupManifest): Promise<void> {
    if (manifest.dataKeyId === null) return;
    const key = dataKeyKey(this.#id.systemIdentifier, manifest.dataKeyId);
    await readRecord(this.#repository.storage, key);
    // With the repository's key at hand, the wrapped key and the record are opened too.
    if (this.#repository.canDecrypt) await openBackup(this.#repository, this.#id);
  }

  async #checkListing(manifest: BackupManifest): Promise<void> {
    const expected = new Map(
      [...manifest.packs, ...manifest.objects].map((object) => [object.name, object.storedBytes]),
    );
    for await (const { key, sizeBytes } of this.#repository.storage.list(this.#prefix, { signal: this.#job.signal })) {
      const name = key.slice(this.#prefix.length);
      if (name === manifestName) continue;
      if (name === verificationName || name === markName) {
        await this.#watch(async () => void (await readRecord(this.#repository.storage, key)));
        continue;
      }
      const bytes = expected.get(name);
      expected.delete(name);
      if (bytes === undefined) this.#add("BACKUP-STRAY-OBJECT", `${key} does not belong to the backup`);
      else if (bytes !== sizeBytes) this.#add("BACKUP-CORRUPT", `${key} has ${sizeBytes} bytes instead of ${bytes}`);
    }
    for (const name of expected.keys()) this.#add("BACKUP-CORRUPT", `${this.#prefix}${name} is missing`);
  }

  async #checkObjects(manifest: BackupManifest): Promise<void> {
    const objects = [...manifest.packs, ...manifest.objects];
    for (const { name, sha256, storedBytes } of objects) {
      await this.#watch(async () => {
        const expected = { sha256, storedBytes };
        this.bytes += await checkSealed(this.#repository.storage, this.#prefix + name, expected, this.#job.signal);
      });
      const total = manifest.storedBytes;
      this.#job.onProgress({ phase: "verify", current: this.bytes, total, unit: "bytes", message: this.#label });
    }
  }

  async #checkFiles(): Promise<void> {
    const repository = this.#repository;
    const { signal, onProgress } = this.#job;
    const backup = await openBackup(repository, this.#id);
    const raw = await readBackupObject(repository, backup, filesName, signal);
    const entries = parseFileIndex(raw, this.#prefix + filesName);
    let done = 0;
    const pages = new PageSurvey(backup.manifest, await blockBytesOf(repository, backup, signal));
    await readStoredFiles(repository, backup, entries, async (entry) => pages.open(entry), {
      onBytes: (bytes) => {
        done += bytes;
        onProgress({ phase: "deep", current: done, total: backup.manifest.bytes, unit: "bytes", message: this.#label });
      },
      signal,
    });
    this.#tellOfPages(pages, backup.manifest);
    if (backup.manifest.objects.some(({ name }) => name === serverManifestName)) {
      const manifest = parseServerManifest(await readBackupObject(repository, backup, serverManifestName, signal));
      const files = entries.filter(({ type }) => type === "file");
      compareWithServerManifest(files, manifest);
    }
    for (const { segment } of backup.manifest.wal) {
      const segmentBytes = readWalSegment(repository, backup, segment, signal);
      for await (const chunk of segmentBytes) if (chunk.length === 0) break;
    }
  }

  /** The bytes are as the server sent them: what is wrong with a page was wrong in the server. */
  #tellOfPages({ broken }: PageSurvey, { label, status }: BackupManifest): void {
    if (broken.length === 0) return;
    const each = broken.slice(0, 3).map(({ path, blocks }) => `${path} (${blocks.slice(0, 5).join(", ")})`);
    this.#findings.push({
      id: "BACKUP-PAGES",
      // Of a suspect backup it is known.
      severity: status === "suspect" ? "warn" : "critical",
      title: `backup ${label} holds broken pages in ${broken.length} files: ${each.join("; ")}`,
      subject: label,
      observed: broken.length,
      threshold: 0,
      hint: "Keep older backups, find the relation by pg_relation_filepath, and restore it from a backup before the damage.",
    });
  }

  /** Turns a fault in the repository into a finding; anything else goes up. */
  async #watch(check: () => Promise<void>): Promise<void> {
    try {
      await check();
    } catch (error) {
      const fault =
        error instanceof CorruptObjectError ||
        error instanceof ObjectNotFoundError ||
        isDbError(error, "BACKUP_MANIFEST_MISMATCH") ||
        isDbError(error, "BACKUP_UNSAFE_PATH");
      if (!fault) throw error;
      this.#add("BACKUP-CORRUPT", messageOf(error));
    }
  }

  #add(id: string, title: string): void {
    const hint = "Copy the object from another repository if there is one, and take a new backup.";
    this.#findings.push({ id, severity: "critical", title, subject: this.#label, hint });
  }
}

function unusableFinding({ label, reason, lastWrittenAt }: UnusableBackup, asked: boolean): Finding {
  return reason === "damaged"
    ? {
        id: "BACKUP-CORRUPT",
        severity: "critical",
        title: `the record of backup ${label} is damaged or missing`,
        subject: label,
        hint: "Copy manifest.json from another repository if there is one, and take a new backup.",
      }
    : {
        id: "BACKUP-INCOMPLETE",
        severity: asked ? "critical" : "warn",
        title: `backup ${label} has no record: it runs, was cut short, or lost its manifest.json`,
        subject: label,
        since: lastWrittenAt,
        hint: "If no backup is running, expire removes it.",
      };
}

/** The identity was checked when the repository was opened; the two documents beside it are checked here. */
async function checkDocuments(repository: Repository): Promise<Finding[]> {
  const { identity } = repository;
  if (!identity) {
    const empty = (await listBackups(repository)).length === 0;
    if (empty) return [];
    const title = "repository.json is missing";
    return [{ id: "BACKUP-CORRUPT", severity: "critical", title, subject: repository.location }];
  }
  const findings: Finding[] = [];
  const documents = [
    [readmeKey, identity.documents.readme],
    [rescueKey, identity.documents.rescue],
  ] as const;
  for (const [key, expected] of documents) {
    const raw = await readObject(repository.storage, key).catch(() => Buffer.alloc(0));
    if (createHash("sha256").update(raw).digest("hex") === expected) continue;
    findings.push({
      id: "BACKUP-DOCUMENT-CHANGED",
      severity: "warn",
      title: `${key} is missing or was changed`,
      subject: repository.location,
      hint: "Backups are not touched by it; do not run a rescue script somebody changed.",
    });
  }
  for await (const { key } of repository.storage.list(journalPrefix)) {
    const whole = await readRecord(repository.storage, key).then(
      () => true,
      (error: unknown) => !isDbError(error, "BACKUP_CORRUPT"),
    );
    if (whole) continue;
    findings.push({
      id: "BACKUP-JOURNAL-DAMAGED",
      severity: "warn",
      title: `${key}, what an expiry wrote down, is damaged`,
      subject: repository.location,
      hint: "No backup is touched by it. Look for what changes files in the repository, then remove it.",
    });
  }
  return findings;
}
