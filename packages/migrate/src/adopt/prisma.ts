import type { ForeignMigration, ForeignTool } from "./foreign-tool.ts";
import { namesIn, readSource } from "./source-folder.ts";

/** Prisma: `<time>_<name>/migration.sql`, history `_prisma_migrations` with the SHA-256 of each file. */
export const prisma: ForeignTool = {
  name: "prisma",
  async recognises(directory, entries) {
    if (entries.includes("migration_lock.toml")) return true;
    const first = entries.find((entry) => /^\d{14}_/.test(entry));
    return first !== undefined && (await readSource(directory, first, "migration.sql")) !== null;
  },
  async readFolder(directory) {
    const migrations: ForeignMigration[] = [];
    for (const folder of (await namesIn(directory)).folders) {
      const source = await readSource(directory, folder, "migration.sql");
      if (!source) continue;
      const [, version = null, name = folder] = /^(\d+)_(.*)$/.exec(folder) ?? [];
      const down = await readSource(directory, folder, "down.sql");
      migrations.push({
        key: folder,
        checksum: source.hash,
        version,
        name,
        kind: "versioned",
        file: `${folder}/migration.sql`,
        up: source.text,
        down: down?.text ?? null,
        verify: null,
        transactional: true,
        depends: [],
      });
    }
    return { tool: "prisma", migrations, findings: [] };
  },
  isHistory: (table, columns) => table === "_prisma_migrations" && columns.has("migration_name"),
  async readHistory(session, table) {
    const { rows } = await session.query<{ key: string; checksum: string; appliedAt: number | null }>(
      `select migration_name as key, checksum, (extract(epoch from finished_at) * 1000)::float8 as "appliedAt"
         from ${table} where rolled_back_at is null order by started_at`,
    );
    return {
      upTo: null,
      rows: rows.map((row) => ({ ...row, state: row.appliedAt === null ? "failed" : "applied" })),
    };
  },
};
