import { ReplicationProtocolError, UnsafePathError } from "./errors.ts";
import { safeRelativePath } from "./safe-path.ts";

/** One entry of a tar archive, as PostgreSQL writes them. */
export interface TarEntry {
  readonly path: string;
  readonly type: "file" | "directory" | "link";
  readonly sizeBytes: number;
  readonly mode: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** Where a link points; empty for the others. */
  readonly target: string;
}

/** Receives an archive's entries in order. A returned promise holds the archive back. */
export interface TarSink {
  entry(entry: TarEntry): void;
  data(chunk: Buffer): void | Promise<void>;
  /** The entry's last byte was given. Called for entries without data too. */
  endEntry(): void;
}

const block = 512;

/**
 * Takes a ustar archive in pieces of any size. Handles what PostgreSQL sends: sizes in octal or base 256, padding to
 * 512 bytes, and an end with two zero blocks (15 and newer) or without (12-14).
 * @see https://github.com/postgres/postgres/blob/master/src/port/tar.c
 */
export class TarReader {
  readonly #sink: TarSink;
  readonly #name: string;
  #header: Buffer = Buffer.alloc(block);
  #headerLength = 0;
  #position = 0;
  #inFile = false;
  #fileLeft = 0;
  #paddingLeft = 0;
  #zeroBlocks = 0;

  constructor(name: string, sink: TarSink) {
    this.#name = name;
    this.#sink = sink;
  }

  /** Bytes of the archive read so far. */
  get position(): number {
    return this.#position;
  }

  /**
   * Takes the next bytes; a returned promise asks to wait, and the chunk must stay as it is until then.
   * @throws {ReplicationProtocolError} when a header is not one; @throws {UnsafePathError}
   */
  write(chunk: Buffer): Promise<void> | undefined {
    return this.#take(chunk, 0);
  }

  #take(chunk: Buffer, from: number): Promise<void> | undefined {
    let at = from;
    while (at < chunk.length) {
      const begin = at;
      let held: void | Promise<void> = undefined;
      if (this.#fileLeft > 0) {
        const length = Math.min(this.#fileLeft, chunk.length - at);
        held = this.#sink.data(length === chunk.length ? chunk : chunk.subarray(at, at + length));
        at += length;
        this.#fileLeft -= length;
      } else if (this.#paddingLeft > 0) {
        const length = Math.min(this.#paddingLeft, chunk.length - at);
        at += length;
        this.#paddingLeft -= length;
      } else {
        const length = Math.min(block - this.#headerLength, chunk.length - at);
        chunk.copy(this.#header, this.#headerLength, at, at + length);
        at += length;
        this.#headerLength += length;
      }
      this.#position += at - begin;
      if (held) return held.then(() => this.#goOn(chunk, at));
      this.#settle();
    }
    return undefined;
  }

  #goOn(chunk: Buffer, at: number): Promise<void> | undefined {
    this.#settle();
    return this.#take(chunk, at);
  }

  /** Ends what is complete now: an entry, or a header. */
  #settle(): void {
    if (this.#inFile && this.#fileLeft === 0) {
      this.#inFile = false;
      this.#sink.endEntry();
    }
    if (this.#headerLength === block) this.#takeHeader();
  }

  /** @throws {ReplicationProtocolError} when the archive stops inside an entry */
  end(): void {
    if (this.#fileLeft > 0 || this.#paddingLeft > 0 || this.#headerLength > 0) {
      throw new ReplicationProtocolError(`archive ${this.#name} ends inside an entry`);
    }
  }

  #takeHeader(): void {
    this.#headerLength = 0;
    if (this.#header.every((byte) => byte === 0)) {
      this.#zeroBlocks++;
      return;
    }
    if (this.#zeroBlocks > 0) throw new ReplicationProtocolError(`archive ${this.#name} goes on after its end`);
    const entry = parseTarHeader(this.#header, this.#name);
    this.#sink.entry(entry);
    this.#fileLeft = entry.sizeBytes;
    this.#paddingLeft = (block - (entry.sizeBytes % block)) % block;
    this.#inFile = entry.sizeBytes > 0;
    if (!this.#inFile) this.#sink.endEntry();
  }
}

function parseTarHeader(header: Buffer, archive: string): TarEntry {
  let sum = 0;
  for (let i = 0; i < block; i++) sum += i >= 148 && i < 156 ? 32 : header[i]!;
  if (tarNumber(header, 148, 8) !== sum) throw new ReplicationProtocolError(`archive ${archive} has a broken header`);
  const flag = String.fromCharCode(header[156]!);
  const type = flag === "0" || flag === "\0" ? "file" : flag === "5" ? "directory" : flag === "2" ? "link" : undefined;
  if (type === undefined) throw new ReplicationProtocolError(`archive ${archive} holds an entry of unknown type`);
  const prefix = tarText(header, 345, 155, archive);
  const name = tarText(header, 0, 100, archive);
  const sizeBytes = type === "file" ? tarNumber(header, 124, 12) : 0;
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    throw new ReplicationProtocolError(`archive ${archive} has an entry of impossible size`);
  }
  return {
    path: safeRelativePath(prefix === "" ? name : `${prefix}/${name}`, `archive ${archive}`),
    type,
    sizeBytes,
    mode: tarNumber(header, 100, 8) & 0o7777,
    mtime: tarNumber(header, 136, 12),
    target: type === "link" ? tarText(header, 157, 100, archive) : "",
  };
}

function tarText(header: Buffer, at: number, length: number, archive: string): string {
  const field = header.subarray(at, at + length);
  const end = field.indexOf(0);
  const bytes = end < 0 ? field : field.subarray(0, end);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    // PostgreSQL itself makes no such file: somebody put it into the data directory.
    throw new UnsafePathError(`archive ${archive} holds a name that is not UTF-8: ${bytes.toString("latin1")}`, {
      cause,
      hint: "Rename the file, or move it out of the data directory, and take the backup again.",
    });
  }
}

function tarNumber(header: Buffer, at: number, length: number): number {
  const field = header.subarray(at, at + length);
  if (field[0] === 0x80) return Number(BigInt(`0x${field.subarray(1).toString("hex")}`));
  return Number.parseInt(field.toString("latin1").replaceAll("\0", " ").trim() || "0", 8);
}
