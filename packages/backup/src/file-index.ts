import { Crc32c, crc32cHex } from "./crc32c.ts";
import type { FileEntry } from "./manifest.ts";
import { type TarEntry, TarReader, type TarSink } from "./tar.ts";

/** Where the bytes of an archive's files are kept. */
export interface FileStore {
  /** Where the next file's first byte will lie in the run of packed bytes. */
  position(): number;
  /** Takes the next bytes of a file; a returned promise asks to wait. */
  keep(chunk: Buffer): Promise<void> | undefined;
}

/** Reads archives and writes down what is in them: every file's place, size and CRC-32C. Holds the index alone. */
export class FileIndex implements TarSink {
  readonly #store: FileStore;
  readonly #checksum: Crc32c;
  readonly #entries: FileEntry[] = [];
  #prefix = "";
  #entry: TarEntry | undefined;
  #position = 0;
  #bytes = 0;

  /** @param checksum has the archives' bytes in its memory, where that is possible: then they are not copied */
  constructor(store: FileStore, checksum: Crc32c = new Crc32c()) {
    this.#store = store;
    this.#checksum = checksum;
  }

  /** Everything received, in the order of the archives. */
  get entries(): readonly FileEntry[] {
    return this.#entries;
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A reader for the archive of one tablespace; undefined for the data directory. */
  open(tablespaceOid: string | undefined): TarReader {
    this.#prefix = tablespaceOid === undefined ? "" : `pg_tblspc/${tablespaceOid}/`;
    return new TarReader(tablespaceOid === undefined ? "base.tar" : `${tablespaceOid}.tar`, this);
  }

  entry(entry: TarEntry): void {
    this.#entry = entry;
    this.#position = this.#store.position();
    this.#checksum.begin();
  }

  data(chunk: Buffer): Promise<void> | undefined {
    this.#checksum.add(chunk);
    this.#bytes += chunk.length;
    return this.#store.keep(chunk);
  }

  endEntry(): void {
    const { path, type, sizeBytes, mode, mtime, target } = this.#entry!;
    this.#entries.push({
      path: this.#prefix + path,
      type,
      sizeBytes,
      position: this.#position,
      crc32c: type === "file" ? crc32cHex(this.#checksum.end()) : "",
      mode,
      mtime,
      target,
    });
  }
}
