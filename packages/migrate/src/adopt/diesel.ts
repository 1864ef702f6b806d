import type { ForeignMigration, ForeignTool } from "./foreign-tool.ts";
import { namesIn, readSource } from "./source-folder.ts";

/** Diesel: `<time>_<name>/{up,down}.sql`; history `__diesel_schema_migrations(version, run_on)`. */
export const diesel: ForeignTool = {
  name: "diesel",
  async recognises(directory, entries) {
    const first = entries.find((entry) => /^[\d-]+_/.test(entry));
    return first !== undefined && (await readSource(directory, first, "up.sql")) !== null;
  },
  async readFolder(directory) {
    const migrations: ForeignMigration[] = [];
    for (const folder of (await namesIn(directory)).folders) {
      const source = await readSource(directory, folder, "up.sql");
      if (!source) continue;
      const [before = "", ...words] = folder.split("_");
      const version = before.replaceAll("-", "");
      const down = await readSource(directory, folder, "down.sql");
      const settings = await readSource(directory, folder, "metadata.toml");
      migrations.push({
        key: version,
        checksum: null,
        version: /^\d+$/.test(version) ? version : null,
        name: words.join("_"),
        kind: "versioned",
        file: `${folder}/up.sql`,
        up: source.text,
        down: down?.text ?? null,
        verify: null,
        transactional: !/^\s*run_in_transaction\s*=\s*false/m.test(settings?.text ?? ""),
        depends: [],
      });
    }
    return { tool: "diesel", migrations, findings: [] };
  },
  isHistory: (table, columns) => table === "__diesel_schema_migrations" && columns.has("run_on"),
  async readHistory(session, table) {
    const { rows } = await session.query<{ key: string; appliedAt: number }>(
      `select version as key, (extract(epoch from run_on) * 1000)::float8 as "appliedAt" from ${table} order by version`,
    );
    return { upTo: null, rows: rows.map((row) => ({ ...row, checksum: null, state: "applied" })) };
  },
};
