import { formatMicros } from "./moment.ts";

/** What the records of a stretch of WAL say. Times are ISO 8601 with microseconds. */
export interface WalFacts {
  /** The earliest and the latest end of a transaction; null when none ended here. */
  readonly firstTransactionAt: string | null;
  readonly lastTransactionAt: string | null;
  /** Named restore points. */
  readonly restorePoints: readonly { readonly name: string; readonly at: string }[];
  /** The newest transaction's number, of 32 bits; null when none wrote here, absent in records of older versions. */
  readonly newestXid?: number | null;
  /** Bytes from the beginning that hold records; what follows is empty. */
  readonly usedBytes: number;
  /** True when a record of interest, or one too short to tell, goes on in the next segment and was left out. */
  readonly cut: boolean;
}

const pageBytes = 8192;
const headBytes = 160;
const recordHeaderBytes = 24;
/** 2000-01-01 in microseconds. */
const epochMicros = 946_684_800_000_000n;

const xlogManager = 0;
const transactionManager = 1;
const restorePoint = 0x70;
// Commit, abort, and both of a prepared transaction: recovery looks at the time of each.
const transactionEnds: ReadonlySet<number> = new Set([0x00, 0x20, 0x30, 0x40]);

/**
 * Walks over the records of one segment as it passes by and notes when transactions ended, and restore points. Reads
 * headers only. A record that began in the segment before, or whose head lies in the next, is left out.
 * @see https://github.com/postgres/postgres/blob/master/src/include/access/xlogrecord.h
 */
export class WalScanner {
  #carry: Buffer = Buffer.alloc(0);
  #offset = 0;
  #usedBytes = 0;
  #ended = false;
  #skip = 0;
  readonly #head: Buffer = Buffer.alloc(headBytes);
  #headUsed = 0;
  #headWanted = 0;
  #recordBytes = 0;
  #first: bigint | undefined;
  #last: bigint | undefined;
  #newestXid: number | null = null;
  readonly #restorePoints: { name: string; at: string }[] = [];

  /** Takes the next bytes, in order, beginning with the segment's first. */
  write(chunk: Buffer): void {
    if (this.#ended) return;
    const bytes = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    let at = 0;
    for (; at + pageBytes <= bytes.length && !this.#ended; at += pageBytes) {
      this.#page(bytes.subarray(at, at + pageBytes));
      this.#offset += pageBytes;
    }
    this.#carry = Buffer.from(bytes.subarray(at));
  }

  /** What was seen, the last piece of a page included. */
  get facts(): WalFacts {
    if (!this.#ended && this.#carry.length > recordHeaderBytes) {
      const page = Buffer.alloc(pageBytes);
      this.#carry.copy(page);
      this.#page(page);
      this.#ended = true;
    }
    const iso = (micros: bigint | undefined): string | null => (micros === undefined ? null : formatMicros(micros));
    return {
      firstTransactionAt: iso(this.#first),
      lastTransactionAt: iso(this.#last),
      restorePoints: this.#restorePoints,
      newestXid: this.#newestXid,
      usedBytes: this.#usedBytes,
      cut: this.#headWanted > 0 && this.#mayMatter(),
    };
  }

  #page(page: Buffer): void {
    const info = page.readUInt16LE(2);
    if (page[1] !== 0xd1) {
      this.#ended = true;
      return;
    }
    let at = (info & 2) === 0 ? 24 : 40;
    const continues = (info & 1) !== 0;
    const remaining = page.readUInt32LE(16);
    if (continues && this.#skip === 0 && this.#headWanted === 0) this.#skip = remaining;
    else if (!continues) {
      this.#skip = 0;
      this.#headWanted = 0;
    }
    while (at < pageBytes) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, pageBytes - at);
        this.#skip -= step;
        at += step;
        if (this.#skip === 0) at = aligned(at);
      } else if (this.#headWanted > 0) {
        const step = Math.min(this.#headWanted, pageBytes - at);
        page.copy(this.#head, this.#headUsed, at, at + step);
        this.#headUsed += step;
        this.#headWanted -= step;
        at += step;
        if (this.#headWanted === 0) {
          this.#record();
          this.#skip = this.#recordBytes - this.#headUsed;
          if (this.#skip === 0) at = aligned(at);
        }
      } else {
        const length = wordAt(page, at);
        if (length < recordHeaderBytes) {
          this.#usedBytes = this.#offset + at;
          this.#ended = true;
          return;
        }
        // Nearly every record lies in one page and tells nothing but its transaction.
        if (at + length <= pageBytes && !isTransactionEnd(page, at) && !isRestorePoint(page, at)) {
          this.#transaction(wordAt(page, at + 4));
          at = aligned(at + length);
          continue;
        }
        this.#recordBytes = length;
        this.#headUsed = 0;
        this.#headWanted = Math.min(length, headBytes);
      }
    }
    this.#usedBytes = this.#offset + Math.min(at, pageBytes);
  }

  #transaction(xid: number): void {
    if (xid !== 0 && (this.#newestXid === null || isNewer(xid, this.#newestXid))) this.#newestXid = xid;
  }

  #mayMatter(): boolean {
    if (this.#headUsed < recordHeaderBytes) return true;
    return isTransactionEnd(this.#head) || isRestorePoint(this.#head);
  }

  #record(): void {
    const head = this.#head.subarray(0, this.#headUsed);
    this.#transaction(wordAt(head, 4));
    if (isTransactionEnd(head)) {
      const at = timeAt(head, mainData(head));
      if (at === undefined) return;
      if (this.#first === undefined || at < this.#first) this.#first = at;
      if (this.#last === undefined || at > this.#last) this.#last = at;
    } else if (isRestorePoint(head)) {
      const data = mainData(head);
      const at = timeAt(head, data);
      if (data === undefined || at === undefined) return;
      const text = head.subarray(data + 8, data + 72);
      const end = text.indexOf(0);
      const name = text.toString("utf8", 0, end < 0 ? text.length : end);
      this.#restorePoints.push({ name, at: formatMicros(at) });
    }
  }
}

/** Numbers of transactions go in a circle: of two, the one less than half of it ahead is the newer. */
export function isNewer(xid: number, than: number): boolean {
  return ((xid - than) | 0) > 0;
}

function isTransactionEnd(bytes: Buffer, at = 0): boolean {
  return bytes[at + 17] === transactionManager && transactionEnds.has(bytes[at + 16]! & 0x70);
}

function isRestorePoint(bytes: Buffer, at = 0): boolean {
  return bytes[at + 17] === xlogManager && (bytes[at + 16]! & 0xf0) === restorePoint;
}

/** Little-endian. A segment has some hundred thousand of them: `readUInt32LE` would cost more than all else here. */
function wordAt(bytes: Buffer, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

function aligned(at: number): number {
  return (at + 7) & ~7;
}

/** Where a record's own data begins, when it touches no block. */
function mainData(head: Buffer): number | undefined {
  let at = recordHeaderBytes;
  for (;;) {
    const id = head[at];
    if (id === 255) return at + 2;
    if (id === 254) return at + 5;
    // 253: where it was replicated from; 252: the transaction above.
    if (id === 253) at += 3;
    else if (id === 252) at += 5;
    else return undefined;
  }
}

function timeAt(head: Buffer, at: number | undefined): bigint | undefined {
  if (at === undefined || at + 8 > head.length) return undefined;
  return epochMicros + head.readBigInt64LE(at);
}
