import { createReadStream } from "node:fs";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "@db/core";
import { manifestMacKey } from "../catalog.ts";
import { crc32c, crc32cHex } from "../crc32c.ts";
import { InvalidBackupOptionsError } from "../errors.ts";
import type { FileEntry, ManifestObject } from "../manifest.ts";
import { type JobOptions, resolveCompression, resolveJobOptions, type ResolvedJobOptions } from "../options.ts";
import { type ClaimedLabel, claimLabel } from "../repository/label.ts";
import { dataKeyKey, dumpPrefix, filesName, manifestName } from "../repository/layout.ts";
import { PackWriter } from "../repository/pack.ts";
import { encodeRecord } from "../repository/record.ts";
import type { Repository } from "../repository/repository.ts";
import { type Compression, SealedWriter } from "../repository/sealed-object.ts";
import { writeObject } from "../repository/storage.ts";
import { readDumpCatalog } from "./dump-catalog.ts";
import { chooseClient, type DumpClient, runClient } from "./dump-client.ts";
import { type DumpInfo, dumpInfo, type DumpManifest } from "./dump-manifest.ts";
import { type DumpSource, readDumpSource } from "./dump-source.ts";

/** What to dump, with what, and where to. */
export interface DumpOptions extends JobOptions {
  /** `postgres://` URL of a role that may read everything in its database; no REPLICATION is needed. */
  readonly url: string;
  readonly repository: Repository;
  /** PostgreSQL programs on this machine; the oldest pg_dump at least as new as the server is used. */
  readonly clients: readonly DumpClient[];
  /** Tables dumped at a time, each on a connection of its own beside one more. Default 2. */
  readonly jobs?: number | undefined;
  /**
   * Where the dump lies, not encrypted and readable by this account alone, until it is in the repository. It needs room
   * for the data without their indexes. Default the system's temporary directory.
   */
  readonly workDirectory?: string | undefined;
  /** Default zstd level 1 where this Node has it, else gzip level 1. */
  readonly compression?: Partial<Compression> | undefined;
  /** Longest wait for a table that somebody locked. Default 60 000. */
  readonly lockTimeoutMs?: number | undefined;
}

/** What a dump did. */
export interface DumpReport extends DumpInfo {
  readonly durationMs: number;
  /** The programs that were used. */
  readonly client: DumpClient;
}

/**
 * Dumps one database with pg_dump, parallel and of one snapshot, into the same repository as physical backups: packed,
 * compressed, encrypted where the repository is, and made valid by one record written last. For servers that give no
 * replication; it restores to the moment it began and to no other.
 * @throws {ClientMissingError} before anything is begun @throws {DumpFailedError} @throws {BackupConnectionError}
 * @throws {MissingKeyError} @throws {StorageError} @throws {AbortedError} @throws {InvalidBackupOptionsError}
 */
export async function createDump(options: DumpOptions): Promise<DumpReport> {
  const { jobs, lockTimeoutMs, compression } = resolve(options);
  const { repository } = options;
  const job = resolveJobOptions(options);
  const began = job.clock.now();
  const source = await readDumpSource(options.url);
  const client = chooseClient(options.clients, "pg_dump", Math.floor(source.serverVersion / 10_000));
  await repository.initialise(new Date(began).toISOString());
  const directory = await mkdtemp(join(options.workDirectory ?? tmpdir(), "db-dump-"));
  try {
    const parts = join(directory, "dump");
    const args = ["--format=directory", `--jobs=${jobs}`, "--compress=0", `--lock-wait-timeout=${lockTimeoutMs}`];
    const watch = setInterval(() => void tellSize(parts, job), 1_000);
    await runClient(client, "pg_dump", options.url, [...args, `--file=${parts}`], job.signal).finally(() =>
      clearInterval(watch),
    );
    const manifest = await store(parts, { repository, source, clientMajor: client.major, compression, began }, job);
    const durationMs = job.clock.now() - began;
    job.metrics.count("db_backup_dumps_total", { result: "complete" });
    job.logger.info({ label: manifest.label, database: source.database, durationMs }, "dump complete");
    return { ...dumpInfo(manifest, null), durationMs, client };
  } catch (error) {
    job.metrics.count("db_backup_dumps_total", { result: "failed" });
    throw error;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface DumpFacts {
  readonly repository: Repository;
  readonly source: DumpSource;
  readonly clientMajor: number;
  readonly compression: Compression;
  readonly began: number;
}

async function store(directory: string, facts: DumpFacts, job: ResolvedJobOptions): Promise<DumpManifest> {
  const { repository, source, compression, began } = facts;
  const { storage } = repository;
  const { label, lease } = await freeLabel(repository, source.systemIdentifier, began, job.clock);
  await using _lease = lease;
  const prefix = dumpPrefix(source.systemIdentifier, label);
  const dataKey = await repository.createDataKey(source.systemIdentifier);
  const sealing = { dataKey: dataKey?.bytes, compression, signal: job.signal };
  const packs = new PackWriter(storage, prefix, sealing);
  try {
    const entries = await packFiles(directory, packs, job);
    const summaries = await packs.finish();
    const index = await writeIndex(repository, prefix, entries, sealing);
    const manifest: DumpManifest = {
      format: "db-dump/1",
      ...source,
      label,
      clientMajor: facts.clientMajor,
      startedAt: new Date(began).toISOString(),
      stoppedAt: new Date(job.clock.now()).toISOString(),
      files: entries.length,
      bytes: packs.position,
      storedBytes: [...summaries, index].reduce((sum, object) => sum + object.storedBytes, 0),
      dataKeyId: dataKey?.id ?? null,
      compression,
      packs: summaries,
      archives: [],
      objects: [index],
    };
    const record = encodeRecord(manifest, dataKey && manifestMacKey(dataKey));
    await writeObject(storage, prefix + manifestName, record, { signal: job.signal });
    return manifest;
  } catch (error) {
    await packs.abort();
    const left: string[] = [];
    for await (const { key } of storage.list(prefix)) left.push(key);
    for (const key of left) await storage.remove(key).catch(() => undefined);
    if (dataKey) await storage.remove(dataKeyKey(source.systemIdentifier, dataKey.id)).catch(() => undefined);
    throw error;
  }
}

async function packFiles(directory: string, packs: PackWriter, job: ResolvedJobOptions): Promise<FileEntry[]> {
  const entries: FileEntry[] = [];
  const names = (await readdir(directory)).sort();
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory, name))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  for (const name of names) {
    const path = join(directory, name);
    const position = packs.position;
    let crc = 0;
    const stream = createReadStream(path, { highWaterMark: 1024 * 1024, signal: job.signal });
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      crc = crc32c(chunk, crc);
      await packs.append(chunk);
      job.onProgress({ phase: "store", current: packs.position, total, unit: "bytes", message: name });
    }
    const sizeBytes = packs.position - position;
    const { mtimeMs } = await stat(path);
    const mtime = Math.floor(mtimeMs / 1000);
    entries.push({
      path: name,
      type: "file",
      sizeBytes,
      position,
      crc32c: crc32cHex(crc),
      mode: 0o600,
      mtime,
      target: "",
    });
    // What is stored needs no room here any more.
    await rm(path);
  }
  return entries;
}

async function writeIndex(
  { storage }: Repository,
  prefix: string,
  entries: readonly FileEntry[],
  sealing: { readonly dataKey: Uint8Array | undefined; readonly compression: Compression },
): Promise<ManifestObject> {
  const writer = await SealedWriter.create(storage, prefix + filesName, sealing);
  try {
    await writer.write(Buffer.from(entries.map((entry) => `${JSON.stringify(entry)}\n`).join("")));
    return { name: filesName, ...(await writer.finish()) };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

async function freeLabel(
  repository: Repository,
  systemIdentifier: string,
  now: number,
  clock: Clock,
): Promise<ClaimedLabel> {
  const { dumps, unusable } = await readDumpCatalog(repository);
  const taken = new Set([...dumps, ...unusable].map(({ label }) => label));
  const prefixOf = (label: string): string => dumpPrefix(systemIdentifier, label);
  return claimLabel(repository.storage, { kind: "L", taken, prefixOf, now, clock });
}

async function tellSize(directory: string, { onProgress }: ResolvedJobOptions): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  const sizes = await Promise.all(names.map((name) => stat(join(directory, name)).catch(() => ({ size: 0 }))));
  const current = sizes.reduce((sum, { size }) => sum + size, 0);
  onProgress({ phase: "dump", current, unit: "bytes" });
}

function resolve(options: DumpOptions): { jobs: number; lockTimeoutMs: number; compression: Compression } {
  const { jobs = 2, lockTimeoutMs = 60_000, url } = options;
  const problems: string[] = [];
  if (!(Number.isInteger(jobs) && jobs >= 1 && jobs <= 64)) problems.push(`jobs must be 1 to 64, not ${jobs}`);
  if (!(lockTimeoutMs > 0)) problems.push("lockTimeoutMs must be above zero");
  if (!/^postgres(ql)?:\/\//.test(url)) problems.push("url must begin with postgres://");
  const compression = resolveCompression(options.compression ?? {}, problems);
  if (problems.length > 0) throw new InvalidBackupOptionsError(problems.join("; "));
  return { jobs, lockTimeoutMs, compression };
}
