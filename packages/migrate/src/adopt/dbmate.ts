import type { ForeignMigration, ForeignTool } from "./foreign-tool.ts";
import { namesIn, readSource } from "./source-folder.ts";

const up = /^--\s*migrate:up([^\n]*)\n?/m;
const down = /^--\s*migrate:down([^\n]*)\n?/m;

/** dbmate: `-- migrate:up` and `-- migrate:down` in `<version>_<name>.sql`; history `schema_migrations(version)`. */
export const dbmate: ForeignTool = {
  name: "dbmate",
  async recognises(directory, entries) {
    const first = entries.find((entry) => /^\d+.*\.sql$/.test(entry) && !/\.(up|down)\.sql$/.test(entry));
    return first !== undefined && up.test((await readSource(directory, first))?.text ?? "");
  },
  async readFolder(directory) {
    const migrations: ForeignMigration[] = [];
    for (const file of (await namesIn(directory)).files) {
      const [, version, name = ""] = /^(\d+)[_-]?(.*)\.sql$/.exec(file) ?? [];
      const source = version === undefined ? null : await readSource(directory, file);
      if (version === undefined || !source) continue;
      const begin = up.exec(source.text);
      const end = down.exec(source.text);
      const from = begin ? begin.index + begin[0].length : 0;
      migrations.push({
        key: version,
        checksum: null,
        version,
        name,
        kind: "versioned",
        file,
        up: source.text.slice(from, end?.index ?? source.text.length),
        down: end ? source.text.slice(end.index + end[0].length) : null,
        verify: null,
        transactional: !/transaction:\s*false/.test(begin?.[1] ?? ""),
        depends: [],
      });
    }
    return { tool: "dbmate", migrations, findings: [] };
  },
  isHistory: (table, columns) => table === "schema_migrations" && columns.size === 1 && columns.has("version"),
  async readHistory(session, table) {
    const { rows } = await session.query<{ version: string }>(`select version::text as version from ${table}`);
    return {
      upTo: null,
      rows: rows.map(({ version }) => ({ key: version, checksum: null, appliedAt: null, state: "applied" })),
    };
  },
};
