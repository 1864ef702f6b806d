import { hash } from "node:crypto";

/** SHA-256 of a text in UTF-8, as 64 hexadecimal digits. */
export function sha256(text: string | Uint8Array): string {
  return hash("sha256", text, "hex");
}

/**
 * Checksum of SQL that does not change when an editor or a checkout rewrites line ends, the byte order mark,
 * or blanks at the ends of lines and of the text.
 */
export function checksumOf(sql: string): string {
  const normalized = sql
    .replace(/^\uFEFF/, "")
    .replace(/\r\n?/g, "\n")
    .replace(/[ \t]+$/gm, "")
    .trim();
  return sha256(normalized);
}

/** Links a migration to everything before it: equal chains mean equal histories, order included. */
export function chainOf(previous: string | null, checksum: string): string {
  return sha256(`${previous ?? ""}:${checksum}`);
}
