/**
 * CRC-32C (Castagnoli), the checksum of PostgreSQL's backup manifests. Eight tables, eight bytes a step: Node's zlib
 * has only the other polynomial.
 *
 * @param data the bytes
 * @param previous the value after the bytes before these; 0 at the beginning
 * @returns an unsigned 32-bit number
 * @see https://www.postgresql.org/docs/current/backup-manifest-files.html
 */
export function crc32c(data: Uint8Array, previous = 0): number {
  let crc = ~previous;
  const end = data.length;
  const fast = end - (end % 8);
  let i = 0;
  for (; i < fast; i += 8) {
    const low = crc ^ (data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16) | (data[i + 3]! << 24));
    crc =
      t7[low & 0xff]! ^
      t6[(low >>> 8) & 0xff]! ^
      t5[(low >>> 16) & 0xff]! ^
      t4[low >>> 24]! ^
      t3[data[i + 4]!]! ^
      t2[data[i + 5]!]! ^
      t1[data[i + 6]!]! ^
      t0[data[i + 7]!]!;
  }
  for (; i < end; i++) crc = t0[(crc ^ data[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** The checksum as backup manifests write it: its four bytes, the lowest first, in lower-case hexadecimal. */
export function crc32cHex(crc: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(crc);
  return bytes.toString("hex");
}

const [t0, t1, t2, t3, t4, t5, t6, t7] = buildTables();

function buildTables(): [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
] {
  const first = new Int32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
    first[n] = c;
  }
  const next = (table: Int32Array): Int32Array => table.map((c) => first[c & 0xff]! ^ (c >>> 8));
  const second = next(first);
  const third = next(second);
  const fourth = next(third);
  const fifth = next(fourth);
  const sixth = next(fifth);
  const seventh = next(sixth);
  return [first, second, third, fourth, fifth, sixth, seventh, next(seventh)];
}
