import { join } from "node:path";
import { messageOf, quoteLiteral } from "@db/core";
import { type ForeignMigration, type ForeignTool, importFinding } from "./foreign-tool.ts";
import { loadPackage, loadProgram, ProgramError } from "./program.ts";
import { namesIn, readSource } from "./source-folder.ts";

const program = /^(\d+)_(.*)\.(js|cjs|mjs|ts|mts|cts)$/;

/** As much of Knex as is asked here. */
interface KnexClient {
  acquireConnection: () => Promise<object>;
  releaseConnection: () => Promise<void>;
  _query: (connection: object, query: RecordedQuery) => Promise<RecordedQuery>;
}
interface RecordedQuery {
  sql: string;
  bindings?: readonly unknown[];
  response?: object;
  method?: string;
}
type KnexInstance = { readonly client: KnexClient; destroy(): Promise<void> };

/**
 * Knex: programs in `<time>_<name>.js`; history `knex_migrations(name, batch, migration_time)`. What they would send is
 * written down by running them on Knex with no server behind it; one that decides by what it reads cannot be.
 */
export const knex: ForeignTool = {
  name: "knex",
  async recognises(directory, entries) {
    const first = entries.find((entry) => program.test(entry));
    if (first === undefined) return false;
    return /\bknex\b/i.test((await readSource(directory, first))?.text ?? "");
  },
  async readFolder(directory) {
    const migrations: ForeignMigration[] = [];
    const findings = [];
    for (const file of (await namesIn(directory)).files) {
      const [, version, name = ""] = program.exec(file) ?? [];
      if (version === undefined || file.endsWith(".d.ts")) continue;
      try {
        const loaded = await loadProgram(join(directory, file));
        const config = loaded["config"] as { transaction?: boolean } | undefined;
        migrations.push({
          key: file,
          checksum: null,
          version,
          name,
          kind: "versioned",
          file,
          up: await record(directory, loaded["up"]),
          down: typeof loaded["down"] === "function" ? await record(directory, loaded["down"]) : null,
          verify: null,
          transactional: config?.transaction !== false,
          depends: [],
        });
      } catch (error) {
        if (!(error instanceof ProgramError)) throw error;
        const hint = "Write its SQL by hand: a program that reads or computes has no one text.";
        findings.push(importFinding("IMPORT-PROGRAM", "critical", file, `${file} ${error.message}`, hint));
      }
    }
    return { tool: "knex", migrations, findings };
  },
  isHistory: (table, columns) => table === "knex_migrations" && columns.has("batch") && columns.has("migration_time"),
  async readHistory(session, table) {
    const { rows } = await session.query<{ key: string; appliedAt: number }>(
      `select name as key, (extract(epoch from migration_time) * 1000)::float8 as "appliedAt" from ${table} order by id`,
    );
    return { upTo: null, rows: rows.map((row) => ({ ...row, checksum: null, state: "applied" })) };
  },
};

async function record(directory: string, run: unknown): Promise<string> {
  if (typeof run !== "function") throw new ProgramError("exports no up()");
  const { default: makeKnex } = await loadPackage(directory, "knex");
  const instance = (makeKnex as (config: object) => KnexInstance)({ client: "pg", connection: {} });
  const { client } = instance;
  const sent: string[] = [];
  let reads = false;
  client.acquireConnection = () => Promise.resolve({});
  client.releaseConnection = () => Promise.resolve();
  client._query = (_connection, query) => {
    if (/^\s*(select|with)\b/i.test(query.sql)) {
      reads = true;
      return Promise.reject(new Error("no database"));
    }
    if (!/^\s*(begin|commit|rollback)\b/i.test(query.sql)) {
      const { sql, bindings = [] } = query;
      const written = sql.replace(/\$(\d+)/g, (place, number: string) =>
        Number(number) <= bindings.length ? literalOf(bindings[Number(number) - 1]) : place,
      );
      sent.push(`${written.trim().replace(/;$/, "")};`);
    }
    query.response = { rows: [], rowCount: 0, command: "" };
    return Promise.resolve(query);
  };
  try {
    await (run as (knex: KnexInstance) => unknown)(instance);
  } catch (error) {
    if (reads) throw new ProgramError("reads the database to decide what to do", { cause: error });
    throw new ProgramError(`failed when it was written down: ${messageOf(error)}`, { cause: error });
  } finally {
    await instance.destroy();
  }
  return sent.join("\n");
}

/** A value as SQL: Knex keeps those of data changes apart from the text. */
function literalOf(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (value instanceof Date) return quoteLiteral(value.toISOString());
  if (value instanceof Uint8Array) return `'\\x${Buffer.from(value).toString("hex")}'`;
  return quoteLiteral(typeof value === "string" ? value : JSON.stringify(value));
}
