import { createHash, randomBytes } from "node:crypto";
import { isDbError } from "@db/core";
import { CorruptObjectError, WalConflictError } from "../errors.ts";
import type { FrameThreads } from "../repository/frame-threads.ts";
import { deriveKey } from "../repository/key.ts";
import { parseWalRecordKey, walEpochsPrefix, walFolder, walRecordKey } from "../repository/layout.ts";
import { authenticateRecord, decodeRecord, encodeRecord } from "../repository/record.ts";
import { type DataKey, readRecord, type Repository } from "../repository/repository.ts";
import {
  type Compression,
  readSealed,
  type SealedSummary,
  SealedWriter,
  zstdAvailable,
} from "../repository/sealed-object.ts";
import { readObject, writeObject } from "../repository/storage.ts";
import { type WalFacts, WalScanner } from "./scanner.ts";
import { checkSegmentHeader, parseSegmentHeader, parseWalName, type WalFileKind } from "./segment.ts";

/** One file of the WAL archive as its record has it. Plain JSON; times are ISO 8601. */
export interface WalRecord extends WalFacts {
  readonly format: "db-wal/1";
  /** As PostgreSQL names it; a tail carries `.partial-` and its length in hexadecimal. */
  readonly name: string;
  readonly kind: WalFileKind;
  readonly timeline: number;
  readonly systemIdentifier: string;
  /** SHA-256 of the file's content. */
  readonly plainSha256: string;
  /** The object beside this record that holds the content. */
  readonly object: string;
  readonly plainBytes: number;
  readonly storedBytes: number;
  /** SHA-256 at the object's end, of everything stored before it. */
  readonly storedSha256: string;
  /** Null in a repository that is not encrypted. */
  readonly dataKeyId: string | null;
  readonly source: "receive" | "push";
  readonly storedAt: string;
}

/** What a put does with a name that is there already: the same content is `duplicate`. */
export type WalPutResult = "stored" | "duplicate";

/** A file to store. */
export interface WalPut {
  readonly name: string;
  readonly source: WalRecord["source"];
  /** Opens the content from its beginning; may be called twice. A chunk counts until the next one is asked for. */
  readonly read: () => AsyncIterable<Buffer> | Iterable<Buffer>;
  /** Checked against the segment's own header. */
  readonly segmentBytes?: number | undefined;
  readonly now: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The WAL of one cluster in a repository. A file is an object with its content and a record that names it; the record
 * is written last and exclusively, so a file is there whole or not at all, and none is ever replaced by another.
 */
export class WalArchive {
  readonly #repository: Repository;
  readonly #systemIdentifier: string;
  readonly #compression: Compression;
  readonly #threads: FrameThreads | undefined;
  #key: { readonly dataKey: DataKey | undefined } | undefined;
  readonly #keys = new Map<string, DataKey>();

  /** @param threads that seal and open; by default this one does, and the system's */
  constructor(repository: Repository, systemIdentifier: string, compression?: Compression, threads?: FrameThreads) {
    this.#threads = threads;
    this.#repository = repository;
    this.#systemIdentifier = systemIdentifier;
    this.#compression = compression ?? { algorithm: zstdAvailable ? "zstd" : "gzip", level: 1 };
  }

  get systemIdentifier(): string {
    return this.#systemIdentifier;
  }

  /**
   * Stores a file; resolves when it survives a power cut.
   * @throws {WalConflictError} when the name is there with other content @throws {WalRejectedError}
   */
  async put(file: WalPut): Promise<WalPutResult> {
    const known = await this.find(file.name);
    if (known) return this.#compare(known, await digestOf(file.read()));
    const dataKey = await this.#writingKey(file.now);
    const object = `${file.name}-${randomBytes(6).toString("hex")}.sealed`;
    const key = walFolder(this.#systemIdentifier, file.name) + object;
    const { summary, plainSha256, facts } = await this.#seal(file, key, dataKey);
    const parsed = parseWalName(file.name)!;
    const record: WalRecord = {
      format: "db-wal/1",
      name: file.name,
      kind: parsed.kind,
      timeline: parsed.timeline,
      systemIdentifier: this.#systemIdentifier,
      plainSha256,
      object,
      plainBytes: summary.plainBytes,
      storedBytes: summary.storedBytes,
      storedSha256: summary.sha256,
      dataKeyId: dataKey?.id ?? null,
      source: file.source,
      storedAt: new Date(file.now).toISOString(),
      ...facts,
    };
    const recordKey = walRecordKey(this.#systemIdentifier, file.name);
    try {
      await writeObject(this.#repository.storage, recordKey, encodeRecord(record, dataKey && recordMacKey(dataKey)));
      return "stored";
    } catch (error) {
      await this.#repository.storage.remove(key).catch(() => undefined);
      // Somebody stored the same name between the look and the write: theirs stays.
      if (!isDbError(error, "BACKUP_OBJECT_EXISTS")) throw error;
      return this.#compare(await this.record(file.name), plainSha256);
    }
  }

  /** The record of a name, authenticated; undefined when there is none. @throws {CorruptObjectError} */
  async find(name: string): Promise<WalRecord | undefined> {
    const key = walRecordKey(this.#systemIdentifier, name);
    let raw;
    try {
      raw = await readObject(this.#repository.storage, key);
    } catch (error) {
      if (isDbError(error, "BACKUP_OBJECT_NOT_FOUND")) return undefined;
      throw error;
    }
    await this.#repository.refresh();
    const record = decodeRecord<WalRecord>(raw, key);
    if (record.name !== name || record.systemIdentifier !== this.#systemIdentifier) {
      throw new CorruptObjectError(key, "is the record of another file");
    }
    if (this.#repository.canDecrypt) {
      const dataKey = await this.#readingKey(record, key);
      if (dataKey) authenticateRecord(raw, key, recordMacKey(dataKey));
    }
    return record;
  }

  /** The record of a name that must be there. @throws {CorruptObjectError} */
  async record(name: string): Promise<WalRecord> {
    const record = await this.find(name);
    if (!record) throw new CorruptObjectError(walRecordKey(this.#systemIdentifier, name), "is missing");
    return record;
  }

  /**
   * The record of a file, or, of a tail that a running receiver has replaced since it was listed, of what took its place:
   * a longer tail or the whole segment, which begins with the same bytes. @throws {CorruptObjectError}
   */
  async recordOrLonger(name: string): Promise<WalRecord> {
    const { segment, partialBytes } = parseWalName(name) ?? {};
    if (segment === undefined || partialBytes === undefined) return this.record(name);
    // What is longer is stored before what is shorter goes, so a look at all of them in this order finds one.
    for (let look = 0; look < 3; look++) {
      const found = await this.find(name);
      if (found) return found;
      for (const longer of await this.#longerTails(segment, partialBytes)) {
        const record = await this.find(longer);
        if (record) return record;
      }
      const whole = await this.find(segment);
      if (whole) return whole;
    }
    return this.record(name);
  }

  async #longerTails(segment: string, bytes: number): Promise<readonly string[]> {
    const prefix = `${walFolder(this.#systemIdentifier, segment)}${segment}.partial-`;
    const names: string[] = [];
    for await (const { key } of this.#repository.storage.list(prefix)) {
      const name = parseWalRecordKey(key)?.name;
      if (name !== undefined && (parseWalName(name)?.partialBytes ?? 0) >= bytes) names.push(name);
    }
    return names.sort().toReversed();
  }

  /** Where a record's content lies. */
  objectKey(record: WalRecord): string {
    return walFolder(this.#systemIdentifier, record.name) + record.object;
  }

  /**
   * Reads a file's content; the last chunk comes only when all of it proved right. A chunk counts until the next one is
   * asked for. @throws {CorruptObjectError}
   */
  async *read(record: WalRecord, signal?: AbortSignal): AsyncGenerator<Buffer> {
    const key = this.objectKey(record);
    const dataKey = await this.#readingKey(record, walRecordKey(this.#systemIdentifier, record.name));
    const hash = createHash("sha256");
    let length = 0;
    const options = {
      dataKey: dataKey?.bytes,
      expectedSha256: record.storedSha256,
      signal,
      opener: this.#threads,
    };
    for await (const chunk of readSealed(this.#repository.storage, key, options)) {
      hash.update(chunk);
      length += chunk.length;
      if (length > record.plainBytes) break;
      yield chunk;
    }
    if (length !== record.plainBytes || hash.digest("hex") !== record.plainSha256) {
      throw new CorruptObjectError(key, "is not the file its record names");
    }
  }

  /** Reads a small file whole: a history. @throws {CorruptObjectError} */
  async readText(name: string): Promise<string> {
    const parts: Buffer[] = [];
    for await (const part of this.read(await this.record(name))) parts.push(part);
    return Buffer.concat(parts).toString("utf8");
  }

  /** Takes a file away, its record first. */
  async remove(name: string): Promise<number> {
    const record = await this.find(name).catch(() => undefined);
    await this.#repository.storage.remove(walRecordKey(this.#systemIdentifier, name));
    if (!record) return 0;
    await this.#repository.storage.remove(this.objectKey(record));
    return record.storedBytes;
  }

  #compare(known: WalRecord, plainSha256: string): WalPutResult {
    if (known.plainSha256 === plainSha256) return "duplicate";
    throw new WalConflictError(`${known.name} is in the repository already, with other content`, {
      hint: "Two servers of one cluster wrote it: find out which is the primary. The stored file stays as it is.",
    });
  }

  async #seal(
    file: WalPut,
    key: string,
    dataKey: DataKey | undefined,
  ): Promise<{ summary: SealedSummary; plainSha256: string; facts: WalFacts }> {
    const { storage } = this.#repository;
    const { signal } = file;
    const sealing = { dataKey: dataKey?.bytes, compression: this.#compression, signal, sealer: this.#threads };
    const writer = await SealedWriter.create(storage, key, sealing);
    const parsed = parseWalName(file.name)!;
    const isWal = parsed.kind === "segment" || parsed.kind === "partial";
    const hash = createHash("sha256");
    const scanner = new WalScanner();
    let begun = false;
    try {
      for await (const chunk of file.read()) {
        if (!begun && isWal) {
          const expected = { systemIdentifier: this.#systemIdentifier, segmentBytes: file.segmentBytes };
          checkSegmentHeader(parsed, parseSegmentHeader(chunk), expected);
        }
        begun = true;
        hash.update(chunk);
        if (isWal) scanner.write(chunk);
        await writer.write(chunk);
      }
      const summary = await writer.finish();
      return { summary, plainSha256: hash.digest("hex"), facts: scanner.facts };
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  async #writingKey(now: number): Promise<DataKey | undefined> {
    if (!this.#key) {
      await this.#repository.initialise(new Date(now).toISOString());
      this.#key = { dataKey: await this.#openEpoch(now) };
    }
    return this.#key.dataKey;
  }

  /** The newest epoch's key; the first writer makes the first epoch, and whoever finds the newest unreadable the next. */
  async #openEpoch(now: number): Promise<DataKey | undefined> {
    const { storage, identity } = this.#repository;
    if (!identity?.encryption) return undefined;
    for (;;) {
      const epochs = await listEpochs(this.#repository, this.#systemIdentifier);
      const newest = epochs.at(-1);
      const known = newest && (await this.#epochKey(newest));
      if (known) return known;
      const made = await this.#repository.createDataKey(this.#systemIdentifier);
      const next = epochNumber(newest) + 1;
      const key = `${walEpochsPrefix(this.#systemIdentifier)}${String(next).padStart(8, "0")}.json`;
      try {
        await writeObject(storage, key, encodeRecord({ dataKeyId: made!.id, startedAt: new Date(now).toISOString() }));
        return made;
      } catch (error) {
        await this.#repository.removeDataKey(this.#systemIdentifier, made!.id);
        if (!isDbError(error, "BACKUP_OBJECT_EXISTS")) throw error;
      }
    }
  }

  /** The key an epoch names; undefined when the record or the key is damaged: nothing new is written with it. */
  async #epochKey(key: string): Promise<DataKey | undefined> {
    try {
      const { dataKeyId } = await readRecord<{ dataKeyId: string }>(this.#repository.storage, key);
      if (!/^[0-9a-f]{16}$/.test(dataKeyId)) return undefined;
      return await this.#repository.readDataKey(this.#systemIdentifier, dataKeyId);
    } catch (error) {
      if (isDbError(error, "BACKUP_CORRUPT")) return undefined;
      throw error;
    }
  }

  async #readingKey(record: WalRecord, key: string): Promise<DataKey | undefined> {
    if (record.dataKeyId === null) {
      if (this.#repository.identity?.encryption) throw new CorruptObjectError(key, "is of a plain file");
      return undefined;
    }
    const known = this.#keys.get(record.dataKeyId);
    if (known) return known;
    const dataKey = await this.#repository.readDataKey(this.#systemIdentifier, record.dataKeyId);
    this.#keys.set(record.dataKeyId, dataKey);
    return dataKey;
  }
}

/** The keys of an archive's epochs, oldest first. */
export async function listEpochs(repository: Repository, systemIdentifier: string): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of repository.storage.list(walEpochsPrefix(systemIdentifier))) keys.push(key);
  return keys;
}

function epochNumber(key: string | undefined): number {
  return Number(/(\d{8})\.json$/.exec(key ?? "")?.[1] ?? 0);
}

function recordMacKey(dataKey: DataKey): Buffer {
  return deriveKey(dataKey.bytes, Buffer.alloc(0), "wal-record");
}

async function digestOf(content: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of content) hash.update(chunk);
  return hash.digest("hex");
}
