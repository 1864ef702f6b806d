import type { FileProblem } from "../file-problem.ts";
import { readDrizzleJournal } from "../drizzle-journal.ts";
import { MigrationFilesError } from "../errors.ts";
import { type ForeignMigration, type ForeignTool, importFinding } from "./foreign-tool.ts";
import { namesIn, readSource } from "./source-folder.ts";

const v1Folder = /^(\d{14})_(.+)$/;

/**
 * drizzle-kit's folders: a journal with `<tag>.sql` (0.x), or `<time>_<name>/migration.sql` without one (v1).
 * @see drizzle-orm/src/migrator.ts
 */
export const drizzle: ForeignTool = {
  name: "drizzle",
  async recognises(directory, entries) {
    if (entries.includes("meta")) return (await readSource(directory, "meta", "_journal.json")) !== null;
    const first = entries.find((entry) => v1Folder.test(entry));
    return first !== undefined && (await readSource(directory, first, "snapshot.json")) !== null;
  },
  async readFolder(directory) {
    const problems: FileProblem[] = [];
    const journal = await readDrizzleJournal(directory, problems);
    if (problems.length > 0) throw new MigrationFilesError(problems);
    const migrations: ForeignMigration[] = [];
    const findings = [];
    if (journal) {
      for (const { tag, when } of journal) {
        const source = await readSource(directory, `${tag}.sql`);
        if (source) migrations.push(migrationOf(`${tag}.sql`, tag, String(when), source));
        else {
          const hint = "Restore the file from version control, or remove the entry with drizzle-kit drop.";
          const title = `the journal names ${tag}, which has no file`;
          findings.push(importFinding("IMPORT-NO-FILE", "critical", `${tag}.sql`, title, hint));
        }
      }
      const known = new Set(journal.map(({ tag }) => `${tag}.sql`));
      for (const file of (await namesIn(directory)).files.filter((name) => name.endsWith(".sql") && !known.has(name))) {
        const title = `${file} is in no journal entry: drizzle never runs it`;
        findings.push(
          importFinding("IMPORT-NOT-LISTED", "warn", file, title, "Remove it, or add it as a new migration."),
        );
      }
    } else {
      for (const folder of (await namesIn(directory)).folders) {
        const match = v1Folder.exec(folder);
        const source = match && (await readSource(directory, folder, "migration.sql"));
        if (source) migrations.push(migrationOf(`${folder}/migration.sql`, folder, folder, source));
      }
    }
    return { tool: "drizzle", migrations, findings };
  },
  isHistory: (table, columns) => table === "__drizzle_migrations" && columns.has("hash") && columns.has("created_at"),
  async readHistory(session, table, columns) {
    const name = columns.has("name") ? "name" : "null::text";
    const { rows } = await session.query<{ hash: string; at: number | null; name: string | null }>(
      `select hash, created_at::float8 as at, ${name} as name from ${table} order by created_at, id`,
    );
    return {
      upTo: null,
      // 0.x knows a migration by its journal's time, v1 by the name of its folder.
      rows: rows.map(({ hash, at, name: folder }) => ({
        key: folder ?? String(at),
        checksum: hash,
        appliedAt: at,
        state: "applied",
      })),
    };
  },
  matches: (migration, row) => row.checksum === migration.checksum || row.key === migration.key,
};

function migrationOf(
  file: string,
  tag: string,
  key: string,
  { text, hash }: { readonly text: string; readonly hash: string },
): ForeignMigration {
  const [, digits = null, name = tag] = /^(\d+)_(.*)$/.exec(tag) ?? [];
  const up = text
    .split("--> statement-breakpoint")
    .map((piece) => ended(piece.trim()))
    .filter((piece) => piece !== "")
    .join("\n");
  const rest = { down: null, verify: null, transactional: true, depends: [], kind: "versioned" } as const;
  return { key, checksum: hash, version: digits, name, file, up, ...rest };
}

/** Pieces between breakpoints need no semicolon; a file does. One behind a comment would be part of it. */
function ended(sql: string): string {
  if (sql === "" || sql.endsWith(";")) return sql;
  return /--[^\n]*$/.test(sql) ? `${sql}\n;` : `${sql};`;
}
