import type { MigrationFile, MigrationSection } from "./migration-file.ts";

/** The down section, and the cancel section of an online migration, as the history keeps them: readable as a migration file again. */
export function downSqlOf(file: Pick<MigrationFile, "down" | "cancel">): string | null {
  const parts = [sectionSql("cancel", file.cancel), sectionSql("down", file.down)].filter((part) => part !== null);
  return parts.length === 0 ? null : parts.join("");
}

function sectionSql(word: "cancel" | "down", section: MigrationSection | null): string | null {
  // A program is undone by its file: its text alone may not run without what it imports.
  if (!section || section.program) return null;
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
  return `-- migrate:${word}${settings}\n${sql}\n`;
}
