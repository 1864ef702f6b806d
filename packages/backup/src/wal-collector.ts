import type { ManifestObject, ManifestWalSegment } from "./manifest.ts";
import { walName } from "./repository/layout.ts";
import { SealedWriter, type SealingOptions } from "./repository/sealed-object.ts";
import type { Storage } from "./repository/storage.ts";
import type { WalSink } from "./replication/wal-stream.ts";

/** Stores the WAL that arrives during a backup, one object per segment, in the backup's own folder. */
export class WalCollector implements WalSink {
  readonly #storage: Storage;
  readonly #prefix: string;
  readonly #segmentBytes: number;
  readonly #options: SealingOptions;
  readonly #objects: ManifestObject[] = [];
  readonly #segments: ManifestWalSegment[] = [];
  #current: { readonly segment: string; readonly writer: SealedWriter } | undefined;

  constructor(storage: Storage, prefix: string, segmentBytes: number, options: SealingOptions) {
    this.#storage = storage;
    this.#prefix = prefix;
    this.#segmentBytes = segmentBytes;
    this.#options = options;
  }

  get objects(): readonly ManifestObject[] {
    return this.#objects;
  }

  get segments(): readonly ManifestWalSegment[] {
    return this.#segments;
  }

  async data(segment: string, _offset: number, chunk: Buffer): Promise<void> {
    this.#current ??= {
      segment,
      writer: await SealedWriter.create(this.#storage, this.#prefix + walName(segment), this.#options),
    };
    await this.#current.writer.write(chunk);
  }

  async endSegment(segment: string, padded = false): Promise<void> {
    const writer = this.#current?.writer;
    this.#current = undefined;
    if (!writer) return;
    const summary = await writer.finish().catch(async (error: unknown) => {
      // Nobody else has this writer any more.
      await writer.abort();
      throw error;
    });
    this.#objects.push({ name: walName(segment), ...summary });
    this.#segments.push({ segment, padded });
  }

  /**
   * Stores the segment the server has not finished, its rest as zeros: recovery stops at the backup's end before it.
   * Happens on a standby, which cannot switch to the next segment.
   */
  async padCurrent(): Promise<void> {
    const current = this.#current;
    if (!current) return;
    const zeros = Buffer.alloc(256 * 1024);
    for (let left = this.#segmentBytes - current.writer.plainBytes; left > 0; left -= zeros.length) {
      await current.writer.write(zeros.subarray(0, Math.min(left, zeros.length)));
    }
    await this.endSegment(current.segment, true);
  }

  async abort(): Promise<void> {
    await this.#current?.writer.abort();
    this.#current = undefined;
  }
}
