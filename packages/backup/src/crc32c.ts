import { crc32cModule, laneBytes, shiftTableAt, tableAt, windowAt, windowBytes } from "./crc32c-module.ts";

/**
 * CRC-32C (Castagnoli), the checksum of PostgreSQL's backup manifests. Node's zlib has only the other polynomial, and
 * JavaScript alone needs twice the time of this module.
 *
 * @param data the bytes
 * @param previous the value after the bytes before these; 0 at the beginning
 * @returns an unsigned 32-bit number
 * @see https://www.postgresql.org/docs/current/backup-manifest-files.html
 */
export function crc32c(data: Uint8Array, previous = 0): number {
  let crc = ~previous;
  for (let at = 0; at < data.length; at += windowBytes) {
    const part = data.length <= windowBytes ? data : data.subarray(at, at + windowBytes);
    window.set(part);
    crc = update(windowAt, part.length, crc);
  }
  return ~crc >>> 0;
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
}

const { window, update } = openModule();

function openModule(): { readonly window: Uint8Array; readonly update: Crc32cExports["update"] } {
  const { memory, update: run } = new wasm.Instance(new wasm.Module(crc32cModule())).exports;
  fillTables(new Int32Array(memory.buffer));
  return { window: new Uint8Array(memory.buffer, windowAt, windowBytes), update: run };
}

function fillTables(memory: Int32Array): void {
  let table = new Int32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
    table[n] = c;
  }
  const first = table;
  for (let index = 0; index < 8; index++) {
    memory.set(table, (tableAt(index) - tableAt(0)) / 4);
    table = table.map((c) => first[c & 0xff]! ^ (c >>> 8));
  }
  // What a lane of zeros makes of each byte of a checksum: so the lanes' checksums are put together. That of a byte is
  // that of its bits, added.
  const ofBit = Array.from({ length: 32 }, (_, bit) => {
    let c = 1 << bit;
    for (let i = 0; i < laneBytes; i++) c = first[c & 0xff]! ^ (c >>> 8);
    return c;
  });
  for (let byte = 0; byte < 4; byte++) {
    for (let value = 0; value < 256; value++) {
      let c = 0;
      for (let bit = 0; bit < 8; bit++) if (value & (1 << bit)) c ^= ofBit[8 * byte + bit]!;
      memory[(shiftTableAt + byte * 1024) / 4 + value] = c;
    }
  }
}
