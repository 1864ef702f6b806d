import { join } from "node:path";
import { messageOf } from "@db/core";
import { type ForeignMigration, type ForeignTool, importFinding } from "./foreign-tool.ts";
import { loadPackage, loadProgram, ProgramError } from "./program.ts";
import { namesIn, readSource } from "./source-folder.ts";

const file = /^(\d+)[_-](.*)\.(sql|js|cjs|mjs|ts|mts|cts)$/;
const downMark = /^[ \t]*--[ \t]*down migration/im;

/** As much of its MigrationBuilder as is asked here. */
interface Builder {
  getSqlSteps(): readonly string[];
  isUsingTransaction(): boolean;
  enableReverseMode(): unknown;
}

/**
 * node-pg-migrate: `<time>_<name>.sql` with `-- Up Migration`, `-- Down Migration`, or programs that build SQL; history
 * `pgmigrations(name, run_on)`.
 */
export const nodePgMigrate: ForeignTool = {
  name: "node-pg-migrate",
  async recognises(directory, entries) {
    const first = entries.find((entry) => file.test(entry));
    const text = first === undefined ? "" : ((await readSource(directory, first))?.text ?? "");
    return /\bpgm\b|--[ \t]*(up|down) migration/i.test(text);
  },
  async readFolder(directory) {
    const migrations: ForeignMigration[] = [];
    const findings = [];
    for (const name of (await namesIn(directory)).files) {
      const [, version, words = "", extension] = file.exec(name) ?? [];
      if (version === undefined || name.endsWith(".d.ts")) continue;
      const stem = name.slice(0, name.lastIndexOf("."));
      const facts = { key: stem, checksum: null, version, name: words, file: name, kind: "versioned" } as const;
      const rest = { verify: null, depends: [] };
      if (extension === "sql") {
        const text = (await readSource(directory, name))?.text ?? "";
        const mark = downMark.exec(text);
        const down = mark ? text.slice(mark.index).replace(/^.*\n?/, "") : null;
        migrations.push({ ...facts, ...rest, up: text.slice(0, mark?.index), down, transactional: true });
        continue;
      }
      try {
        const loaded = await loadProgram(join(directory, name));
        const up = await build(directory, loaded, loaded["up"], false);
        const undo = loaded["down"];
        // Without a down it is derived from the up, unless down is false.
        const down =
          undo === false
            ? null
            : await build(directory, loaded, undo ?? loaded["up"], undo === undefined).catch(() => null);
        migrations.push({ ...facts, ...rest, up: up.sql, down: down?.sql ?? null, transactional: up.transactional });
      } catch (error) {
        if (!(error instanceof ProgramError)) throw error;
        const hint = "Write its SQL by hand: a program that reads or computes has no one text.";
        findings.push(importFinding("IMPORT-PROGRAM", "critical", name, `${name} ${error.message}`, hint));
      }
    }
    return { tool: "node-pg-migrate", migrations, findings };
  },
  isHistory: (table, columns) => table === "pgmigrations" && columns.has("run_on") && columns.has("name"),
  async readHistory(session, table) {
    const { rows } = await session.query<{ key: string; appliedAt: number }>(
      `select name as key, (extract(epoch from run_on) * 1000)::float8 as "appliedAt" from ${table} order by run_on, id`,
    );
    return { upTo: null, rows: rows.map((row) => ({ ...row, checksum: null, state: "applied" })) };
  },
};

async function build(
  directory: string,
  loaded: Readonly<Record<string, unknown>>,
  run: unknown,
  reverse: boolean,
): Promise<{ sql: string; transactional: boolean }> {
  if (typeof run !== "function") throw new ProgramError("exports no up()");
  const { MigrationBuilder } = await loadPackage(directory, "node-pg-migrate");
  const refuse = (): never => {
    throw new ProgramError("reads the database to decide what to do");
  };
  const builder = new (MigrationBuilder as new (...args: readonly unknown[]) => Builder)(
    { query: refuse, select: refuse },
    loaded["shorthands"] ?? {},
    false,
    { debug() {}, info() {}, warn() {}, error() {} },
  );
  if (reverse) builder.enableReverseMode();
  try {
    await (run as (pgm: Builder) => unknown)(builder);
  } catch (error) {
    if (error instanceof ProgramError) throw error;
    throw new ProgramError(`failed when it was written down: ${messageOf(error)}`, { cause: error });
  }
  return { sql: builder.getSqlSteps().join("\n"), transactional: builder.isUsingTransaction() };
}
