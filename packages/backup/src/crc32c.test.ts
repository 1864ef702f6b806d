import { expect, test } from "vitest";
import { crc32c, crc32cHex } from "./crc32c.ts";

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
