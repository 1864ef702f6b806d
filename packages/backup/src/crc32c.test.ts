import { expect, test } from "vitest";
import { Crc32c, crc32c, crc32cHex } from "./crc32c.ts";

test("matches the published check value and does not depend on how the bytes are cut", () => {
  const text = Buffer.from("123456789");
  expect(crc32c(text)).toBe(0xe3069283);
  expect(crc32c(text.subarray(4), crc32c(text.subarray(0, 4)))).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
});

test("is written as the server writes it, lowest byte first", () => {
  expect(crc32cHex(0xe3069283)).toBe("839206e3");
  expect(crc32cHex(0)).toBe("00000000");
});

test("is the same folded, in lanes, in words and byte by byte", () => {
  const bytes = Buffer.from(Array.from({ length: 200_003 }, (_, n) => (n * 2_654_435_761) >>> 24));
  for (const length of [
    1, 7, 8, 9, 3_071, 3_072, 3_073, 10_031, 10_032, 10_033, 10_047, 10_048, 32_768, 98_304, 98_305, 200_000,
  ]) {
    const part = bytes.subarray(3, 3 + length);
    expect([length, crc32c(part, 77)]).toEqual([length, bitwise(part, 77)]);
  }
});

test("is the same for bytes in its memory, for others, and for any mixture of both in pieces of any length", () => {
  const bytes = Buffer.from(Array.from({ length: 700_000 }, (_, n) => (n * 2_654_435_761) >>> 23));
  const checksum = new Crc32c(bytes.length);
  checksum.memory.set(bytes);
  // Words and no words, less and more than folding reaches, more than a window.
  const pieces = [32_768, 32_768, 16, 3_344, 5, 40_000, 1, 15, 4_096, 98_304, 32, 98_321, 200_000, 2_000, 31];
  let at = 3;
  let expected = 0;
  checksum.begin();
  for (const [index, length] of pieces.entries()) {
    const source = index % 3 === 2 ? bytes : checksum.memory;
    checksum.add(source.subarray(at, at + length));
    expected = bitwise(bytes.subarray(at, at + length), expected);
    if (index % 4 === 3) expect([index, checksum.end()]).toEqual([index, expected]);
    at += length;
  }
  expect(checksum.end()).toBe(expected);
  expect(checksum.memory.equals(bytes)).toBe(true);
  checksum.begin();
  expect(checksum.end()).toBe(0);
  checksum.begin(77);
  checksum.add(checksum.memory.subarray(1, 50_001));
  expect(checksum.end()).toBe(bitwise(bytes.subarray(1, 50_001), 77));
});

/** The definition itself. */
function bitwise(data: Uint8Array, previous: number): number {
  let crc = ~previous;
  for (const byte of data) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
