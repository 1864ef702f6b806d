import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { CorruptObjectError } from "../errors.ts";

/**
 * Writes a small JSON document whose last lines prove the ones before: an HMAC where there is a key, then a SHA-256 of
 * everything before it. Still plain JSON for any other reader.
 */
export function encodeRecord(body: object, macKey?: Uint8Array): Buffer {
  let text = JSON.stringify(body, null, 2).replace(/\n\}$/, "");
  if (macKey) text += `,\n  "hmac": "${createHmac("sha256", macKey).update(text).digest("hex")}"`;
  return Buffer.from(text + tailOf(text));
}

/**
 * Reads such a document. Every changed bit is seen: the last line is compared as text, all before it by its digest.
 * @throws {CorruptObjectError}
 */
export function decodeRecord<T extends object>(raw: Buffer, key: string): T {
  const head = headOf(raw);
  if (head === undefined) throw new CorruptObjectError(key, "the record does not match its checksum");
  return JSON.parse(raw.toString("utf8")) as T;
}

/**
 * Checks the record's HMAC, that is, that whoever wrote it held the key.
 * @throws {CorruptObjectError}
 */
export function authenticateRecord(raw: Buffer, key: string, macKey: Uint8Array): void {
  const head = headOf(raw) ?? "";
  const match = /^([\s\S]*),\n {2}"hmac": "([0-9a-f]{64})"$/.exec(head);
  const expected = createHmac("sha256", macKey)
    .update(match?.[1] ?? "")
    .digest();
  if (!match || !timingSafeEqual(Buffer.from(match[2]!, "hex"), expected)) {
    throw new CorruptObjectError(key, "the record was not written with this repository's key");
  }
}

function headOf(raw: Buffer): string | undefined {
  // latin1 keeps every byte apart, so that no broken UTF-8 hides a change.
  const text = raw.toString("latin1");
  const at = text.lastIndexOf(',\n  "sha256": "');
  if (at < 0) return undefined;
  const head = raw.subarray(0, at).toString("utf8");
  return text.slice(at) === tailOf(raw.subarray(0, at)) ? head : undefined;
}

function tailOf(head: string | Buffer): string {
  return `,\n  "sha256": "${createHash("sha256").update(head).digest("hex")}"\n}\n`;
}
