import {
  crc32cModule,
  freeAt,
  laneBytes,
  reachBytes,
  shiftTableAt,
  tableAt,
  unreachTableAt,
  windowAt,
  windowBytes,
  wordBytes,
} from "./crc32c-module.ts";

/** Below this, folding costs more at its end than it saves. */
const leastFolded = 4096;

/**
 * CRC-32C (Castagnoli) of bytes that come in pieces, one run after the other: the checksum of PostgreSQL's backup
 * manifests. Node's zlib has only the other polynomial, and JavaScript alone needs twenty times as long.
 * @see https://www.postgresql.org/docs/current/backup-manifest-files.html
 */
export class Crc32c {
  /** Memory for whoever brings the bytes: those that lie in it are looked at where they are, all others are copied. */
  readonly memory: Buffer;
  readonly #module: Crc32cExports;
  readonly #window: Uint8Array;
  /** The register; while `#folding`, what was folded stands in its place. */
  #crc = ~0;
  #folding = false;

  /** @param memoryBytes size of `memory` */
  constructor(memoryBytes: number = 0) {
    this.#module = new wasm.Instance(new wasm.Module(crc32cModule(memoryBytes))).exports;
    const { buffer } = this.#module.memory;
    new Int32Array(buffer).set(tables());
    this.#window = new Uint8Array(buffer, windowAt, windowBytes);
    this.memory = Buffer.from(buffer, freeAt, memoryBytes);
  }

  /** Begins a run. @param previous the value after bytes that came before; 0 when there were none */
  begin(previous = 0): void {
    this.#crc = ~previous;
    this.#folding = false;
  }

  add(data: Uint8Array): void {
    const here = data.buffer === this.memory.buffer;
    for (let at = 0; at < data.length; at += windowBytes) {
      const length = Math.min(windowBytes, data.length - at);
      if (here) this.#take(data.byteOffset + at, length);
      else {
        this.#window.set(length === data.length ? data : data.subarray(at, at + length));
        this.#take(windowAt, length);
      }
    }
  }

  /** @returns the value of all bytes since `begin`, an unsigned 32-bit number; more may follow */
  end(): number {
    this.#settle();
    return ~this.#crc >>> 0;
  }

  #take(at: number, length: number): void {
    let left = length;
    if (this.#folding || length >= leastFolded) {
      const whole = length - (length % wordBytes);
      if (whole > 0) this.#module.fold(at, whole, this.#folding ? 0 : this.#crc, this.#folding ? 0 : 1);
      this.#folding = true;
      left -= whole;
    }
    if (left === 0) return;
    this.#settle();
    this.#crc = this.#module.update(at + length - left, left, this.#crc);
  }

  #settle(): void {
    if (this.#folding) this.#crc = this.#module.finish();
    this.#folding = false;
  }
}

let shared: Crc32c | undefined;

/**
 * The CRC-32C of bytes.
 * @param data the bytes
 * @param previous the value after the bytes before these; 0 at the beginning
 * @returns an unsigned 32-bit number
 */
export function crc32c(data: Uint8Array, previous = 0): number {
  shared ??= new Crc32c();
  shared.begin(previous);
  shared.add(data);
  return shared.end();
}

/** The checksum as backup manifests write it: its four bytes, the lowest first, in lower-case hexadecimal. */
export function crc32cHex(crc: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(crc);
  return bytes.toString("hex");
}

/** What is used of WebAssembly here: its types come with the DOM's, which this package has no use for. */
const wasm = (globalThis as unknown as { readonly WebAssembly: WebAssemblySubset }).WebAssembly;

interface WebAssemblySubset {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: Crc32cExports };
}

interface Crc32cExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly update: (at: number, length: number, crc: number) => number;
  readonly fold: (at: number, length: number, crc: number, fresh: number) => void;
  readonly finish: () => number;
}

let known: Int32Array | undefined;

/** What the module's memory begins with. */
function tables(): Int32Array {
  return (known ??= makeTables());
}

function makeTables(): Int32Array {
  const made = new Int32Array((unreachTableAt + 4096) / 4);
  const first = Int32Array.from({ length: 256 }, (_, n) => afterBits(n, 8));
  let table = first;
  for (let index = 0; index < 8; index++) {
    made.set(table, tableAt(index) / 4);
    table = table.map((c) => first[c & 0xff]! ^ (c >>> 8));
  }
  setByteTables(made, shiftTableAt, (c) => afterBits(c, laneBytes * 8));
  setByteTables(made, unreachTableAt, (c) => beforeBits(c, reachBytes * 8));
  return made;
}

/** Four tables, one for each byte of a checksum: what `change` makes of a byte is what it makes of its bits, added. */
function setByteTables(made: Int32Array, at: number, change: (crc: number) => number): void {
  const ofBit = Array.from({ length: 32 }, (_, bit) => change(1 << bit));
  for (let byte = 0; byte < 4; byte++) {
    for (let value = 0; value < 256; value++) {
      let c = 0;
      for (let bit = 0; bit < 8; bit++) if (value & (1 << bit)) c ^= ofBit[8 * byte + bit]!;
      made[(at + byte * 1024) / 4 + value] = c;
    }
  }
}

const polynomial = 0x82f63b78;

/** The register after zero bits. */
function afterBits(crc: number, bits: number): number {
  let c = crc;
  for (let n = 0; n < bits; n++) c = c & 1 ? (c >>> 1) ^ polynomial : c >>> 1;
  return c;
}

/** The register before zero bits: the highest bit of the polynomial is set, so it tells whether that was added. */
function beforeBits(crc: number, bits: number): number {
  let c = crc;
  for (let n = 0; n < bits; n++) c = c < 0 ? ((c ^ polynomial) << 1) | 1 : c << 1;
  return c;
}
