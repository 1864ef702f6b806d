import type { Crc32c } from "./crc32c.ts";
import { ReplicationProtocolError } from "./errors.ts";
import { FileIndex } from "./file-index.ts";
import type { FileEntry, StoredArchive } from "./manifest.ts";
import type { PackWriter } from "./repository/pack.ts";
import type { BaseBackupSink, ListedTablespace, WalPosition } from "./replication/base-backup.ts";
import type { TarReader } from "./tar.ts";

/** What a collector tells while it works. */
export interface CollectorEvents {
  begin(start: WalPosition, tablespaces: readonly ListedTablespace[]): Promise<void>;
  /** Bytes of archives taken since the last call. */
  received(bytes: number): void;
}

/** Takes a base backup into packs and says afterwards what it took. */
export interface Collector extends BaseBackupSink {
  readonly entries: readonly FileEntry[];
  /** Bytes of all files. */
  readonly bytes: number;
  /** The server's manifest as it came; empty from PostgreSQL 12. */
  readonly serverManifest: Buffer;
  /** Where the packs hold archives instead of files. */
  readonly archives: readonly StoredArchive[];
}

/**
 * Takes a base backup apart as it arrives: every file's bytes go into the packs, its place, size and CRC-32C into the
 * index. Holds the index and one chunk in memory, never a file.
 */
export class FileCollector implements Collector {
  readonly #events: CollectorEvents;
  readonly #index: FileIndex;
  readonly #manifestParts: Buffer[] = [];
  readonly archives: readonly StoredArchive[] = [];
  #tar: TarReader | undefined;

  /** @param checksum whose memory the archives are read into */
  constructor(packs: PackWriter, events: CollectorEvents, checksum: Crc32c) {
    this.#events = events;
    this.#index = new FileIndex({ position: () => packs.position, keep: (chunk) => packs.append(chunk) }, checksum);
  }

  get entries(): readonly FileEntry[] {
    return this.#index.entries;
  }

  get bytes(): number {
    return this.#index.bytes;
  }

  get serverManifest(): Buffer {
    return Buffer.concat(this.#manifestParts);
  }

  begin(start: WalPosition, tablespaces: readonly ListedTablespace[]): Promise<void> {
    return this.#events.begin(start, tablespaces);
  }

  beginArchive(tablespaceOid: string | undefined): void {
    this.#tar = this.#index.open(tablespaceOid);
  }

  archiveData(chunk: Buffer): Promise<void> | undefined {
    if (!this.#tar) throw new ReplicationProtocolError("the server sent data outside an archive");
    this.#events.received(chunk.length);
    return this.#tar.write(chunk);
  }

  async endArchive(): Promise<void> {
    this.#tar?.end();
    this.#tar = undefined;
  }

  manifestData(chunk: Buffer): void {
    this.#manifestParts.push(Buffer.from(chunk));
  }
}
