import { endianness } from "node:os";

/** Bytes of a file that holds a relation: one of its segments of 1 GiB. @see RELSEG_SIZE in src/include/pg_config.h.in */
const segmentBytes = 1024 ** 3;

const lanes = 32;
const prime = 16_777_619;

// @see https://github.com/postgres/postgres/blob/master/src/include/storage/checksum_impl.h
const baseOffsets = new Uint32Array([
  0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c, 0xf8d4474f,
  0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb, 0xe58f764b, 0x187636bc,
  0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4, 0x783125bb, 0x6ca8eaa2, 0xe407eac6,
  0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756,
]);

/**
 * The checksum PostgreSQL gives a page.
 * @param page the whole page, its length a multiple of 128; the checksum in it counts as zero
 * @param block the page's number in its relation
 */
export function pageChecksum(page: Buffer, block: number): number {
  const words = wordsOf(page);
  const sums = new Int32Array(baseOffsets);
  // The lower half of the third word is the checksum itself.
  const third = words[2]! & 0xffff_0000;
  for (let at = 0; at < words.length; at += lanes) {
    for (let lane = 0; lane < lanes; lane++) {
      const mixed = sums[lane]! ^ (at + lane === 2 ? third : words[at + lane]!);
      sums[lane] = Math.imul(mixed, prime) ^ (mixed >>> 17);
    }
  }
  let result = 0;
  for (let lane = 0; lane < lanes; lane++) {
    let sum = sums[lane]!;
    for (let round = 0; round < 2; round++) sum = Math.imul(sum, prime) ^ (sum >>> 17);
    result ^= sum;
  }
  return (((result ^ block) >>> 0) % 65_535) + 1;
}

function wordsOf(page: Buffer): Int32Array {
  const aligned =
    page.byteOffset % 4 === 0 ? page : Buffer.from(page.buffer.slice(page.byteOffset, page.byteOffset + page.length));
  return new Int32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
}

/** The first block of a relation's file; undefined for files that hold no pages with checksums. */
export function firstBlockOf(path: string, blockBytes: number): number | undefined {
  const match = /^(?:global|base\/\d+|pg_tblspc\/\d+\/PG_[^/]+\/\d+)\/\d+(?:_(?:fsm|vm|init))?(?:\.(\d+))?$/.exec(path);
  return match ? (Number(match[1] ?? 0) * segmentBytes) / blockBytes : undefined;
}

/** Reads the pages of one file of a relation as it comes, and counts those whose checksum is not theirs. */
export class PageCheck {
  readonly #blockBytes: number;
  readonly #startLsn: bigint;
  readonly #rest: Buffer;
  #restLength = 0;
  #block: number;
  /** Numbers of broken pages, the first hundred. */
  readonly broken: number[] = [];

  /** @param startLsn of the backup: a page written since is repaired by WAL, and may be torn here */
  constructor(firstBlock: number, blockBytes: number, startLsn: bigint) {
    this.#block = firstBlock;
    this.#blockBytes = blockBytes;
    this.#startLsn = startLsn;
    this.#rest = Buffer.alloc(blockBytes);
  }

  write(chunk: Buffer): void {
    let at = 0;
    if (this.#restLength > 0) {
      at = Math.min(this.#blockBytes - this.#restLength, chunk.length);
      chunk.copy(this.#rest, this.#restLength, 0, at);
      this.#restLength += at;
      if (this.#restLength < this.#blockBytes) return;
      this.#look(this.#rest);
      this.#restLength = 0;
    }
    for (; at + this.#blockBytes <= chunk.length; at += this.#blockBytes) {
      this.#look(chunk.subarray(at, at + this.#blockBytes));
    }
    this.#restLength = chunk.copy(this.#rest, 0, at);
  }

  #look(page: Buffer): void {
    const block = this.#block++;
    // A page that was never used has no checksum; its upper end of free space is zero.
    if (page.readUInt16LE(14) === 0) return;
    const lsn = (BigInt(page.readUInt32LE(0)) << 32n) | BigInt(page.readUInt32LE(4));
    if (lsn >= this.#startLsn) return;
    if (pageChecksum(page, block) !== page.readUInt16LE(8) && this.broken.length < 100) this.broken.push(block);
  }
}

/** False where this machine's words are not as the server's files have them; then pages are not looked at. */
export const pageChecksumAvailable: boolean = endianness() === "LE";
