import { DbError } from "./errors.ts";

/** A name PostgreSQL cannot hold. */
export class InvalidIdentifierError extends DbError {
  override readonly code = "CORE_INVALID_IDENTIFIER";
}

/**
 * Quotes one identifier, always: `user` becomes `"user"`.
 * @throws {InvalidIdentifierError} when empty or with a zero byte; names over 63 bytes are cut by the server itself
 */
export function quoteIdentifier(name: string): string {
  if (name === "" || name.includes("\0")) {
    throw new InvalidIdentifierError("an identifier must not be empty or hold a zero byte", {
      hint: "Name a table, column or schema.",
    });
  }
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes a qualified name: `("public", "bill")` becomes `"public"."bill"`. */
export function quoteQualified(...parts: readonly string[]): string {
  return parts.map(quoteIdentifier).join(".");
}

/**
 * Quotes a text value for the few statements that take no parameters (DDL, `SET`, replication commands).
 * Safe whatever `standard_conforming_strings` says.
 */
export function quoteLiteral(value: string): string {
  if (value.includes("\0")) throw new InvalidIdentifierError("a text value must not hold a zero byte");
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return value.includes("\\") ? ` E${quoted.replaceAll("\\", "\\\\")}` : quoted;
}
