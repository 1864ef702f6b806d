import { randomBytes } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
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
