import { createHash, randomBytes } from "node:crypto";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { frameBytes, largestCompressed } from "./frame.ts";
import { openZstdContext } from "./zstd-context.ts";

test("every frame of one context is whole by itself, whatever came before it", () => {
  const context = openZstdContext(1);
  expect(context, "this Node's zlib is different inside: frames are compressed by zstdCompressSync").toBeDefined();
  const target = Buffer.alloc(largestCompressed(frameBytes));
  const rows = Buffer.alloc(frameBytes, "some rows of a table, ");
  for (const plain of [rows, randomBytes(frameBytes), Buffer.from("x"), rows.subarray(5), rows.subarray(0, 70_000)]) {
    const frame = Buffer.from(target.subarray(0, context!.compress(plain, target)));
    expect(zstdDecompressSync(frame).equals(plain)).toBe(true);
  }
});

test("a frame that finds no room is an error, and so is every one after it", () => {
  const context = openZstdContext(1)!;
  const plain = randomBytes(10_000);
  expect(() => context.compress(plain, Buffer.alloc(1_000))).toThrow("did not end");
  expect(() => context.compress(plain, Buffer.alloc(20_000))).toThrow();
});

test("level 1 looks things up in a smaller table where that makes nothing larger, and in the usual one where it does", () => {
  const hex = (n: number): string => createHash("md5").update(String(n)).digest("hex");
  const rows = Buffer.from(
    Array.from({ length: 8_000 }, (_, n) => `${n} ${hex(n)} registered, not assigned\n`).join(""),
  );
  // Sentences of some thousand words: what repeats lies far apart.
  const words = Array.from({ length: 6_000 }, (_, n) => hex(n).slice(0, 3 + (n % 9)));
  const wordAt = (n: number): string => words[Number.parseInt(hex(n).slice(0, 8), 16) % words.length]!;
  const text = Buffer.from(Array.from({ length: 60_000 }, (_, n) => `${wordAt(n >> 2)} ${wordAt(n)}`).join(" "));
  const sizeOf = (plain: Buffer, hashLog?: number): number => {
    const table = hashLog === undefined ? {} : { [constants.ZSTD_c_hashLog]: hashLog };
    return zstdCompressSync(plain, { params: { [constants.ZSTD_c_compressionLevel]: 1, ...table } }).length;
  };
  const target = Buffer.alloc(largestCompressed(frameBytes));
  const bodyOf = (plain: Buffer): number => openZstdContext(1)!.compress(plain, target);
  // A frame of a stream does not say how long it is, so it is a few bytes shorter than one made by one call.
  const near = (size: number): number => Math.round(size / 16);
  expect(near(sizeOf(rows, 12))).not.toBe(near(sizeOf(rows)));
  expect(near(bodyOf(rows))).toBe(near(sizeOf(rows, 12)));
  expect(sizeOf(text, 12)).toBeGreaterThan(1.01 * sizeOf(text));
  expect(near(bodyOf(text))).toBe(near(sizeOf(text)));
});
