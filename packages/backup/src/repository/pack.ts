import { packName } from "./layout.ts";
import { type Compression, readSealed, type SealedSummary, SealedWriter } from "./sealed-object.ts";
import type { Storage } from "./storage.ts";

/** Plain bytes per pack. */
export const packBytes: number = 64 * 1024 * 1024;

/** One pack as it was written. */
export interface PackSummary extends SealedSummary {
  /** Relative to the backup's folder. */
  readonly name: string;
}

/**
 * Writes the contents of all files as one long run of bytes, cut into packs of equal size: a file is a position and a
 * length in that run, and many small files cost no more than one large one.
 */
export class PackWriter {
  readonly #storage: Storage;
  readonly #prefix: string;
  readonly #options: {
    readonly dataKey: Uint8Array | undefined;
    readonly compression: Compression;
    readonly signal?: AbortSignal | undefined;
  };
  readonly #packs: PackSummary[] = [];
  #current: SealedWriter | undefined;
  #position = 0;

  constructor(
    storage: Storage,
    prefix: string,
    options: {
      readonly dataKey: Uint8Array | undefined;
      readonly compression: Compression;
      readonly signal?: AbortSignal | undefined;
    },
  ) {
    this.#storage = storage;
    this.#prefix = prefix;
    this.#options = options;
  }

  /** Where the next byte goes. */
  get position(): number {
    return this.#position;
  }

  /** Takes bytes in order; wait for a returned promise before giving more. */
  append(chunk: Buffer): Promise<void> | undefined {
    const room = this.#current ? packBytes - this.#current.plainBytes : 0;
    if (chunk.length > room) return this.#appendAcross(chunk);
    this.#position += chunk.length;
    return this.#current!.write(chunk);
  }

  async finish(): Promise<readonly PackSummary[]> {
    await this.#closePack();
    return this.#packs;
  }

  async abort(): Promise<void> {
    await this.#current?.abort();
    this.#current = undefined;
  }

  async #appendAcross(chunk: Buffer): Promise<void> {
    let at = 0;
    while (at < chunk.length) {
      if (!this.#current || this.#current.plainBytes === packBytes) {
        await this.#closePack();
        const key = this.#prefix + packName(this.#packs.length);
        this.#current = await SealedWriter.create(this.#storage, key, this.#options);
      }
      const length = Math.min(packBytes - this.#current.plainBytes, chunk.length - at);
      await this.#current.write(chunk.subarray(at, at + length));
      this.#position += length;
      at += length;
    }
  }

  async #closePack(): Promise<void> {
    if (!this.#current) return;
    const name = packName(this.#packs.length);
    const summary = await this.#current.finish();
    this.#current = undefined;
    this.#packs.push({ name, ...summary });
  }
}

/** Reads the run of bytes back from its first pack to its last. @throws {CorruptObjectError} */
export async function* readPacks(
  storage: Storage,
  prefix: string,
  packs: readonly { readonly name: string; readonly sha256: string }[],
  options: { readonly dataKey: Uint8Array | undefined; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Buffer> {
  for (const pack of packs) yield* readSealed(storage, prefix + pack.name, { ...options, expectedSha256: pack.sha256 });
}
