import { createHash, timingSafeEqual } from "node:crypto";
import { WeakTokenError } from "./errors.ts";

/** What a caller may do; each scope holds those before it. */
export const scopes = ["metrics", "read", "operate", "admin"] as const;
export type Scope = (typeof scopes)[number];

/** True when `held` covers `needed`. */
export function covers(held: Scope | null, needed: Scope): boolean {
  return held !== null && scopes.indexOf(held) >= scopes.indexOf(needed);
}

/** A token as it is kept: its hash, what it may do, and a name for the audit trail that does not give it away. */
export interface Credential {
  readonly scope: Scope;
  readonly hash: Buffer;
  /** `token:1f2e3d4c`, the beginning of its hash. */
  readonly subject: string;
}

const fewestCharacters = 32;

/**
 * Reads `[scope:]token` or `[scope:]sha256:<64 hexadecimal digits>`; without a scope it may read.
 * @throws {WeakTokenError} when the token could be guessed
 */
export function parseCredential(text: string): Credential {
  const [, named, rest = ""] = /^(?:(metrics|read|operate|admin):)?(.*)$/s.exec(text)!;
  const scope = (named as Scope | undefined) ?? "read";
  const digest = /^sha256:([0-9a-f]{64})$/i.exec(rest)?.[1];
  if (digest === undefined && rest.length < fewestCharacters) throw new WeakTokenError(rest.length);
  const hash = digest === undefined ? hashOf(rest) : Buffer.from(digest, "hex");
  return { scope, hash, subject: `token:${hash.toString("hex").slice(0, 8)}` };
}

/** The credential of a token. Every one is compared, in constant time, so that neither content nor place can be timed. */
export function findCredential(credentials: readonly Credential[], token: string): Credential | undefined {
  const candidate = hashOf(token);
  return credentials.reduce<Credential | undefined>(
    (found, known) => (timingSafeEqual(known.hash, candidate) ? known : found),
    undefined,
  );
}

export function hashOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
