import { crc32c, crc32cHex } from "./crc32c.ts";
import { ReplicationProtocolError } from "./errors.ts";
import type { FileEntry } from "./manifest.ts";
import type { PackWriter } from "./repository/pack.ts";
import type { BaseBackupSink, ListedTablespace, WalPosition } from "./replication/base-backup.ts";
import { type TarEntry, TarReader, type TarSink } from "./tar.ts";

/** What the collector tells while it works. */
export interface CollectorEvents {
  begin(start: WalPosition, tablespaces: readonly ListedTablespace[]): Promise<void>;
  /** Bytes of archives taken since the last call. */
  received(bytes: number): void;
}

/**
 * Takes a base backup apart as it arrives: every file's bytes go into the packs, its place, size and CRC-32C into the
 * index. Holds the index and one chunk in memory, never a file.
 */
export class FileCollector implements BaseBackupSink, TarSink {
  readonly #packs: PackWriter;
  readonly #events: CollectorEvents;
  readonly #entries: FileEntry[] = [];
  readonly #manifestParts: Buffer[] = [];
  #tar: TarReader | undefined;
  #prefix = "";
  #entry: TarEntry | undefined;
  #position = 0;
  #crc = 0;

  constructor(packs: PackWriter, events: CollectorEvents) {
    this.#packs = packs;
    this.#events = events;
  }

  /** Everything received, in the order of the archives. */
  get entries(): readonly FileEntry[] {
    return this.#entries;
  }

  /** The server's manifest as it came; empty from PostgreSQL 12. */
  get serverManifest(): Buffer {
    return Buffer.concat(this.#manifestParts);
  }

  begin(start: WalPosition, tablespaces: readonly ListedTablespace[]): Promise<void> {
    return this.#events.begin(start, tablespaces);
  }

  beginArchive(tablespaceOid: string | undefined): void {
    this.#prefix = tablespaceOid === undefined ? "" : `pg_tblspc/${tablespaceOid}/`;
    this.#tar = new TarReader(tablespaceOid === undefined ? "base.tar" : `${tablespaceOid}.tar`, this);
  }

  async archiveData(chunk: Buffer): Promise<void> {
    if (!this.#tar) throw new ReplicationProtocolError("the server sent data outside an archive");
    this.#events.received(chunk.length);
    await this.#tar.write(chunk);
  }

  endArchive(): void {
    this.#tar?.end();
    this.#tar = undefined;
  }

  manifestData(chunk: Buffer): void {
    this.#manifestParts.push(Buffer.from(chunk));
  }

  entry(entry: TarEntry): void {
    this.#entry = entry;
    this.#position = this.#packs.position;
    this.#crc = 0;
  }

  data(chunk: Buffer): Promise<void> | undefined {
    this.#crc = crc32c(chunk, this.#crc);
    return this.#packs.append(chunk);
  }

  endEntry(): void {
    const { path, type, sizeBytes, mode, mtime, target } = this.#entry!;
    this.#entries.push({
      path: this.#prefix + path,
      type,
      sizeBytes,
      position: this.#position,
      crc32c: type === "file" ? crc32cHex(this.#crc) : "",
      mode,
      mtime,
      target,
    });
  }
}
