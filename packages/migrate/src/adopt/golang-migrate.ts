import type { ForeignMigration, ForeignTool } from "./foreign-tool.ts";
import { namesIn, readSource } from "./source-folder.ts";

/** golang-migrate: `<version>_<name>.up.sql` and `.down.sql`; history `schema_migrations(version, dirty)`, one row. */
export const golangMigrate: ForeignTool = {
  name: "golang-migrate",
  recognises: (_directory, entries) => entries.some((entry) => /^\d+_.*\.up\.sql$/.test(entry)),
  async readFolder(directory) {
    const found: ForeignMigration[] = [];
    for (const file of (await namesIn(directory)).files) {
      const [, version, name = ""] = /^(\d+)_(.*)\.up\.sql$/.exec(file) ?? [];
      const source = version === undefined ? null : await readSource(directory, file);
      if (version === undefined || !source) continue;
      const down = await readSource(directory, file.replace(/\.up\.sql$/, ".down.sql"));
      found.push({
        key: BigInt(version).toString(),
        checksum: null,
        version,
        name,
        kind: "versioned",
        file,
        up: source.text,
        down: down?.text ?? null,
        verify: null,
        transactional: true,
        depends: [],
      });
    }
    const migrations = found.toSorted((a, b) => (BigInt(a.key) < BigInt(b.key) ? -1 : 1));
    return { tool: "golang-migrate", migrations, findings: [] };
  },
  isHistory: (table, columns) => table === "schema_migrations" && columns.has("version") && columns.has("dirty"),
  async readHistory(session, table) {
    const { rows } = await session.query<{ version: string; dirty: boolean }>(
      `select version::text as version, dirty from ${table} limit 1`,
    );
    const [row] = rows;
    if (!row) return { rows: [], upTo: null };
    if (!row.dirty) return { rows: [], upTo: row.version };
    // A dirty version is begun and not ended: everything before it is applied, of itself nobody knows.
    const before = (BigInt(row.version) - 1n).toString();
    return { rows: [{ key: row.version, checksum: null, appliedAt: null, state: "failed" }], upTo: before };
  },
};
