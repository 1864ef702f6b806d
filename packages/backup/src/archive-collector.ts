import { ReplicationProtocolError } from "./errors.ts";
import type { Collector, CollectorEvents } from "./file-collector.ts";
import { FileIndex } from "./file-index.ts";
import type { FileEntry, StoredArchive } from "./manifest.ts";
import { type StreamAlgorithm, StreamDecompressor } from "./repository/decompressor.ts";
import type { PackWriter } from "./repository/pack.ts";
import type { ListedTablespace, WalPosition } from "./replication/base-backup.ts";
import type { TarReader } from "./tar.ts";

/**
 * Takes archives the server compressed: they are stored as they come, and unpacked beside it, so that every file in
 * them is indexed and checked all the same.
 */
export class ArchiveCollector implements Collector {
  readonly #packs: PackWriter;
  readonly #events: CollectorEvents;
  readonly #algorithm: StreamAlgorithm;
  readonly #index: FileIndex;
  readonly #manifestParts: Buffer[] = [];
  readonly #archives: StoredArchive[] = [];
  /** Where the archive being read begins in the run of all archives, unpacked. */
  #origin = 0;
  #packsBefore = 0;
  #current: { readonly tar: TarReader; readonly decompressor: StreamDecompressor } | undefined;

  constructor(packs: PackWriter, algorithm: StreamAlgorithm, events: CollectorEvents) {
    this.#packs = packs;
    this.#algorithm = algorithm;
    this.#events = events;
    this.#index = new FileIndex({
      position: () => this.#origin + this.#current!.tar.position,
      keep: () => undefined,
    });
  }

  get entries(): readonly FileEntry[] {
    return this.#index.entries;
  }

  get bytes(): number {
    return this.#index.bytes;
  }

  get archives(): readonly StoredArchive[] {
    return this.#archives;
  }

  get serverManifest(): Buffer {
    return Buffer.concat(this.#manifestParts);
  }

  begin(start: WalPosition, tablespaces: readonly ListedTablespace[]): Promise<void> {
    return this.#events.begin(start, tablespaces);
  }

  beginArchive(tablespaceOid: string | undefined): void {
    const tar = this.#index.open(tablespaceOid);
    const decompressor = new StreamDecompressor(this.#algorithm, (chunk) => {
      this.#events.received(chunk.length);
      void tar.write(chunk);
    });
    this.#current = { tar, decompressor };
  }

  archiveData(chunk: Buffer): Promise<void> | undefined {
    if (!this.#current) throw new ReplicationProtocolError("the server sent data outside an archive");
    const stored = this.#packs.append(chunk);
    const unpacked = this.#current.decompressor.write(chunk);
    return stored && unpacked ? Promise.all([stored, unpacked]).then(() => undefined) : (stored ?? unpacked);
  }

  async endArchive(): Promise<void> {
    if (!this.#current) return;
    const { tar, decompressor } = this.#current;
    await decompressor.end();
    tar.end();
    const packs = await this.#packs.cut();
    this.#archives.push({ packs: packs - this.#packsBefore, plainBytes: tar.position });
    this.#packsBefore = packs;
    this.#origin += tar.position;
    this.#current = undefined;
  }

  manifestData(chunk: Buffer): void {
    this.#manifestParts.push(Buffer.from(chunk));
  }
}
