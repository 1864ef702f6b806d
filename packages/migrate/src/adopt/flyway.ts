import { crc32 } from "node:zlib";
import { type ForeignMigration, type ForeignTool, importFinding } from "./foreign-tool.ts";
import { namesIn, readSource } from "./source-folder.ts";

const versioned = /^V([0-9._]+?)__(.*)\.sql$/;
const repeatable = /^R__(.*)\.sql$/;

/**
 * Flyway: `V1_2__name.sql`, `U1_2__name.sql`, `R__name.sql`; history `flyway_schema_history` with a CRC-32 of the lines.
 * @see https://documentation.red-gate.com/flyway/flyway-concepts/migrations
 */
export const flyway: ForeignTool = {
  name: "flyway",
  recognises: (_directory, entries) => entries.some((entry) => versioned.test(entry)),
  async readFolder(directory) {
    const { files } = await namesIn(directory);
    const found: (ForeignMigration & { readonly parts: readonly number[] })[] = [];
    const findings = [];
    for (const file of files) {
      const match = versioned.exec(file);
      const again = repeatable.exec(file);
      if (!match && !again) {
        if (/^(V|R|B|afterMigrate|beforeMigrate|.*\.conf$)/.test(file) && !/^U[0-9]/.test(file)) {
          const title = `${file} is a Flyway file without a counterpart here`;
          findings.push(
            importFinding("IMPORT-NOT-TAKEN", "warn", file, title, "Look at what it does and move it by hand."),
          );
        }
        continue;
      }
      const source = await readSource(directory, file);
      if (!source) continue;
      const parts = (match?.[1] ?? "").split(/[._]/).map(Number);
      const undo = match ? await readSource(directory, file.replace(/^V/, "U")) : null;
      if (/\$\{\w+\}/.test(source.text)) {
        const title = `${file} has Flyway placeholders`;
        findings.push(
          importFinding(
            "IMPORT-PLACEHOLDER",
            "warn",
            file,
            title,
            "Give their values when you plan, or write them out.",
          ),
        );
      }
      found.push({
        parts,
        key: match ? parts.join(".") : (again?.[1] ?? "").replaceAll("_", " "),
        checksum: String(lineChecksum(source.text)),
        version: match && parts.length === 1 ? String(parts[0]) : null,
        name: (match?.[2] ?? again?.[1] ?? "").replaceAll(" ", "_"),
        kind: match ? "versioned" : "repeatable",
        file,
        up: source.text,
        down: undo?.text ?? null,
        verify: null,
        transactional: true,
        depends: [],
      });
    }
    const migrations = found.toSorted(byVersion).map(({ parts: _parts, ...migration }) => migration);
    return { tool: "flyway", migrations, findings };
  },
  isHistory: (_table, columns) => columns.has("installed_rank") && columns.has("script") && columns.has("success"),
  async readHistory(session, table) {
    const { rows } = await session.query<{
      version: string | null;
      description: string;
      type: string;
      checksum: number | null;
      at: number;
      success: boolean;
    }>(
      `select version, description, type, checksum, success, (extract(epoch from installed_on) * 1000)::float8 as at
         from ${table} order by installed_rank`,
    );
    const baseline = rows.findLast((row) => row.type === "BASELINE");
    return {
      upTo: baseline?.version ?? null,
      rows: rows
        .filter(({ type }) => type === "SQL")
        .map(({ version, description, checksum, at, success }) => ({
          key: version === null ? description : version.split(/[._]/).map(Number).join("."),
          checksum: checksum === null ? null : String(checksum),
          appliedAt: at,
          state: success ? "applied" : "failed",
        })),
    };
  },
};

/** Flyway's checksum: CRC-32 over the lines without their ends, as a signed 32-bit number. */
function lineChecksum(text: string): number {
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\r|\n/);
  if (lines.at(-1) === "") lines.pop();
  return crc32(lines.join("")) | 0;
}

function byVersion(
  a: { readonly kind: string; readonly parts: readonly number[]; readonly name: string },
  b: { readonly kind: string; readonly parts: readonly number[]; readonly name: string },
): number {
  if (a.kind !== b.kind) return a.kind === "versioned" ? -1 : 1;
  if (a.kind === "repeatable") return a.name < b.name ? -1 : 1;
  const length = Math.max(a.parts.length, b.parts.length);
  for (let index = 0; index < length; index++) {
    const difference = (a.parts[index] ?? 0) - (b.parts[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
