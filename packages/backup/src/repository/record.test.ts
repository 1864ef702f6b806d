import { expect, test } from "vitest";
import { authenticateRecord, decodeRecord, encodeRecord } from "./record.ts";

const body = { label: "20261110-030000F", nested: { names: ["ä", "b"], sha256: "not the last line" } };

test("is plain JSON that reads back, with and without a key", () => {
  const key = Buffer.alloc(32, 1);
  for (const raw of [encodeRecord(body), encodeRecord(body, key)]) {
    expect(decodeRecord(raw, "x")).toMatchObject(body);
    expect(JSON.parse(raw.toString())).toMatchObject(body);
  }
  expect(() => authenticateRecord(encodeRecord(body, key), "x", key)).not.toThrow();
  expect(() => authenticateRecord(encodeRecord(body, Buffer.alloc(32, 2)), "x", key)).toThrow("not written with");
  expect(() => authenticateRecord(encodeRecord(body), "x", key)).toThrow("not written with");
});

test("shows every flipped bit and every cut", () => {
  const raw = encodeRecord(body, Buffer.alloc(32, 1));
  for (let bit = 0; bit < raw.length * 8; bit++) {
    const bad = Buffer.from(raw);
    bad[bit >> 3]! ^= 1 << (bit & 7);
    expect(() => decodeRecord(bad, "x")).toThrow("does not match its checksum");
  }
  for (let length = 0; length < raw.length; length++)
    expect(() => decodeRecord(raw.subarray(0, length), "x")).toThrow();
});
