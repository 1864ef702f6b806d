import { crc32c, crc32cHex } from "./crc32c.ts";
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
  readonly #entries: FileEntry[] = [];
  #prefix = "";
  #entry: TarEntry | undefined;
  #position = 0;
  #crc = 0;
  #bytes = 0;

  constructor(store: FileStore) {
    this.#store = store;
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
    this.#crc = 0;
  }

  data(chunk: Buffer): Promise<void> | undefined {
    this.#crc = crc32c(chunk, this.#crc);
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
      crc32c: type === "file" ? crc32cHex(this.#crc) : "",
      mode,
      mtime,
      target,
    });
  }
}
