import type { MigrationSection } from "./migration-file.ts";

/** A down section as the history keeps it: readable as a migration file again. */
export function downSqlOf(section: MigrationSection | null): string | null {
  if (!section) return null;
  const { transaction, lockTimeoutMs, statementTimeoutMs, retries } = section.settings;
  const timeout = (ms: number | null): string => (ms === null ? "off" : `${ms}ms`);
  const settings = [
    transaction === "auto" ? "" : ` transaction=${transaction}`,
    lockTimeoutMs === undefined ? "" : ` lock_timeout=${timeout(lockTimeoutMs)}`,
    statementTimeoutMs === undefined ? "" : ` statement_timeout=${timeout(statementTimeoutMs)}`,
    retries === undefined ? "" : ` retries=${retries}`,
  ].join("");
  const sql = section.pieces
    .map((piece) => piece.sql.replaceAll("\r\n", "\n"))
    .join("\n")
    .trim();
  return `-- migrate:down${settings}\n${sql}\n`;
}
