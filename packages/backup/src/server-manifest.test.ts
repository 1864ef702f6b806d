import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { compareWithServerManifest, parseServerManifest } from "./server-manifest.ts";

function manifest(files: object[]): Buffer {
  const body =
    `{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": 7710564623356449059,\n` +
    `"Files": ${JSON.stringify(files)},\n` +
    `"WAL-Ranges": [{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000120" }],\n`;
  return Buffer.from(`${body}"Manifest-Checksum": "${createHash("sha256").update(body).digest("hex")}"}\n`);
}

const file = { Path: "base/1/1", Size: 3, "Checksum-Algorithm": "CRC32C", Checksum: "01020304" };
const received = { path: "base/1/1", sizeBytes: 3, crc32c: "01020304" };

test("reads a system identifier above 2^53 exactly, and names that are no UTF-8 text", () => {
  const parsed = parseServerManifest(manifest([{ "Encoded-Path": "6261736500", Size: 1 }]));
  expect(parsed.systemIdentifier).toBe("7710564623356449059");
  expect(parsed.files[0]?.path).toBe("base\0");
  expect(parsed.walRanges).toEqual([{ timeline: 1, startLsn: "0/2000028", endLsn: "0/2000120" }]);
});

test("refuses a manifest with one changed bit, and a cut one", () => {
  const raw = manifest([file]);
  raw[40]! ^= 1;
  expect(() => parseServerManifest(raw)).toThrow("does not match its own checksum");
  expect(() => parseServerManifest(manifest([file]).subarray(0, 80))).toThrow("no checksum line");
});

test("finds what is missing, too much, of another size or changed; WAL is not the manifest's business", () => {
  const parsed = parseServerManifest(manifest([file]));
  const compare = (files: (typeof received)[]): void => compareWithServerManifest(files, parsed);
  expect(() => compare([received, { ...received, path: "pg_wal/000000010000000000000001" }])).not.toThrow();
  expect(() => compare([])).toThrow("base/1/1 did not arrive");
  expect(() => compare([received, { ...received, path: "extra" }])).toThrow("extra is not in the manifest");
  expect(() => compare([{ ...received, sizeBytes: 4 }])).toThrow("has 4 bytes instead of 3");
  expect(() => compare([{ ...received, crc32c: "ffffffff" }])).toThrow("another checksum");
});
