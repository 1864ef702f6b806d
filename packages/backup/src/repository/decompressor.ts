import type { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { isDbError } from "@db/core";
import { CorruptObjectError } from "../errors.ts";
import type { Compression } from "./compression.ts";

/** What a server compresses its archives with, of what Node can unpack. */
export type StreamAlgorithm = "zstd" | "gzip";

const gatheredBytes = 128 * 1024;
const unpackedBytes = 256 * 1024;

function createDecompressor(algorithm: StreamAlgorithm): Transform {
  const options = { chunkSize: unpackedBytes };
  return algorithm === "zstd" ? createZstdDecompress(options) : createGunzip(options);
}

/** Unpacks a stream as it is written, off the main thread, and gives the bytes to `take` in order. */
export class StreamDecompressor {
  readonly #stream: Transform;
  readonly #ended: Promise<void>;
  #failure: Error | undefined;
  #gathered: Buffer = Buffer.allocUnsafeSlow(gatheredBytes);
  #used = 0;

  /** @param take is called with bytes that are good until it returns; what it throws fails the writer */
  constructor(algorithm: StreamAlgorithm, take: (chunk: Buffer) => void) {
    const stream = createDecompressor(algorithm);
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => {
      try {
        take(chunk);
      } catch (error) {
        stream.destroy(error as Error);
      }
    });
    this.#ended = new Promise((resolve) => {
      stream.on("error", (error) => (this.#failure ??= error));
      stream.on("close", resolve);
    });
  }

  /** Copies bytes; a returned promise asks to wait before more are given. @throws what `take` or the stream threw */
  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#used + chunk.length <= gatheredBytes) {
      this.#gathered.set(chunk, this.#used);
      this.#used += chunk.length;
      return undefined;
    }
    const ready = this.#flush();
    const rest = chunk.length <= gatheredBytes ? undefined : Buffer.from(chunk);
    if (rest) this.#stream.write(rest);
    else {
      this.#gathered.set(chunk);
      this.#used = chunk.length;
    }
    return ready;
  }

  /** Resolves when the last byte was taken. @throws what `take` or the stream threw, a stream cut short included */
  async end(): Promise<void> {
    if (this.#used > 0) await this.#flush();
    this.#stream.end();
    await this.#ended;
    if (this.#failure) throw this.#failure;
  }

  #flush(): Promise<void> | undefined {
    if (this.#failure) throw this.#failure;
    const full = this.#gathered.subarray(0, this.#used);
    // The stream keeps what it was given until it is unpacked.
    this.#gathered = Buffer.allocUnsafeSlow(gatheredBytes);
    this.#used = 0;
    if (this.#stream.write(full)) return undefined;
    return new Promise((resolve) => {
      const go = (): void => {
        this.#stream.off("drain", go);
        this.#stream.off("close", go);
        resolve();
      };
      this.#stream.on("drain", go);
      this.#stream.on("close", go);
    });
  }
}

/**
 * Unpacks what `source` gives. Memory does not grow with it.
 * @param key names the object in an error
 * @throws {CorruptObjectError} and what `source` throws
 */
export async function* decompressStream(
  source: AsyncIterable<Buffer>,
  algorithm: Compression["algorithm"],
  key: string,
): AsyncGenerator<Buffer> {
  if (algorithm === "none") throw new CorruptObjectError(key, "holds archives nobody compressed");
  const stream = createDecompressor(algorithm);
  const fed = pipeline(source, stream);
  // Its failure is the one the loop below throws.
  fed.catch(() => undefined);
  try {
    for await (const chunk of stream) yield chunk as Buffer;
    await fed;
  } catch (cause) {
    if (isDbError(cause)) throw cause;
    throw new CorruptObjectError(key, "an archive does not decompress", { cause });
  } finally {
    stream.destroy();
  }
}
