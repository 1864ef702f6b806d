import { constants } from "node:fs";
import { type FileHandle, open, statfs } from "node:fs/promises";

/** Direct writes must begin and end at multiples of this, in the file and in memory: a page, and the largest usual sector. */
const usualBorder = 4096;
/** So much is written at once; the beginning of a file, and so a small one whole, is written like any other. */
const stretchBytes = 1024 * 1024;
/** A chunk may come on top of a stretch that is almost full. */
const roomBytes = 2 * stretchBytes;
const mostSpare = 2;
/** ext2 to ext4, XFS. @see https://man7.org/linux/man-pages/man2/statfs.2.html */
const localTypes: readonly number[] = [0xef53, 0x58465342];

const spare: Uint8Array[] = [];

/**
 * A new file that is written from its beginning to its end, around the page cache where the system can: a large backup then
 * costs half the kernel's time, and does not push the database's own pages out of memory. Durable after `sync`.
 *
 * The system wants memory at the border of a page for that, which a `Buffer` is not: what is to be written is copied into
 * a WebAssembly memory first, which is. Elsewhere than on ext4 and XFS the page cache takes all: a network's file system
 * would let each write wait for its server.
 * @see https://man7.org/linux/man-pages/man2/open.2.html O_DIRECT
 */
export class DirectFile {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #border: number;
  /** The same file, around the page cache; null where that does not work. */
  #direct: FileHandle | null | undefined;
  /** What is not written yet, in its first `#used` bytes. */
  #stretch: Uint8Array | null | undefined;
  #used = 0;
  #written = 0;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, file: FileHandle, border: number) {
    this.#path = path;
    this.#file = file;
    this.#border = border;
  }

  /**
   * Makes the file, only its owner's to read.
   * @param border direct writes end at multiples of it, bytes; where the device wants another, the page cache takes all
   * @throws when it is there
   */
  static async create(path: string, border: number = usualBorder): Promise<DirectFile> {
    return new DirectFile(path, await open(path, "wx", 0o600), border);
  }

  /** Takes bytes, one chunk at a time; when it resolves the chunk may be reused. */
  write(chunk: Uint8Array): Promise<void> {
    this.#writing = this.#take(chunk);
    return this.#writing;
  }

  async #take(chunk: Uint8Array): Promise<void> {
    let at = 0;
    if (this.#written < stretchBytes) {
      at = Math.min(chunk.length, stretchBytes - this.#written);
      await this.#put(this.#file, chunk.subarray(0, at));
      if (at === chunk.length) return;
    }
    if (this.#stretch === undefined) this.#stretch = directFlag === undefined ? null : (spare.pop() ?? pageAligned());
    const stretch = this.#stretch;
    if (stretch === null) return this.#put(this.#file, chunk.subarray(at));
    while (at < chunk.length) {
      const part = chunk.subarray(at, at + roomBytes - this.#used);
      stretch.set(part, this.#used);
      this.#used += part.length;
      at += part.length;
      if (this.#used >= stretchBytes) await this.#flush(stretch);
    }
  }

  /** Makes everything written so far survive a power cut. */
  async sync(): Promise<void> {
    if (this.#stretch && this.#used > 0) {
      await this.#put(this.#file, this.#stretch.subarray(0, this.#used));
      this.#used = 0;
    }
    await this.#file.sync();
  }

  /** Leaves the file as it is, once nothing is being written; never throws. */
  async close(): Promise<void> {
    // The stretch is another file's next: nobody may still write to it, or from it.
    await this.#writing.catch(() => undefined);
    await this.#direct?.close().catch(() => undefined);
    await this.#file.close().catch(() => undefined);
    if (this.#stretch && spare.length < mostSpare) spare.push(this.#stretch);
    this.#stretch = null;
    this.#direct = null;
  }

  /** Writes up to a border; what is left over goes to the stretch's beginning. */
  async #flush(stretch: Uint8Array): Promise<void> {
    const whole = this.#used - (this.#used % this.#border);
    if (this.#direct === undefined) {
      const { type } = await statfs(this.#path);
      const isLocal = localTypes.includes(type);
      this.#direct = isLocal ? await open(this.#path, constants.O_WRONLY | directFlag!).catch(refused) : null;
    }
    if (this.#direct) {
      const from = this.#written;
      try {
        await this.#put(this.#direct, stretch.subarray(0, whole));
      } catch (error) {
        // Some systems open such a file and then do not write it.
        refused(error);
        await this.#direct.close();
        this.#direct = null;
        await this.#put(this.#file, stretch.subarray(this.#written - from, whole));
      }
    } else await this.#put(this.#file, stretch.subarray(0, whole));
    stretch.copyWithin(0, whole, this.#used);
    this.#used -= whole;
  }

  async #put(file: FileHandle, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await file.write(bytes, at, bytes.length - at, this.#written);
      at += bytesWritten;
      this.#written += bytesWritten;
    }
  }
}

const directFlag: number | undefined = process.platform === "linux" ? constants.O_DIRECT : undefined;

/** @throws what is no refusal of direct writes */
function refused(error: unknown): null {
  const { code } = error as { readonly code?: string };
  if (code === "EINVAL" || code === "EOPNOTSUPP" || code === "ENOTSUP") return null;
  throw error;
}

/** What is used of WebAssembly here: its types come with the DOM's, which this package has no use for. */
const wasm = (globalThis as unknown as { readonly WebAssembly: WebAssemblySubset }).WebAssembly;

interface WebAssemblySubset {
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => {
    readonly buffer: ArrayBuffer;
  };
}

/** Null where the process may not reserve the address space that such memory takes. */
function pageAligned(): Uint8Array | null {
  const pages = roomBytes / 65_536;
  try {
    return new Uint8Array(new wasm.Memory({ initial: pages, maximum: pages }).buffer);
  } catch {
    return null;
  }
}
