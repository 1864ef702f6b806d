import type { Client } from "pg";
import { readMigrationFolder } from "../src/folder.ts";
import type { MigrationFinding } from "../src/finding.ts";
import { lintMigrations } from "../src/index.ts";
import { loadParser } from "../src/parser.ts";
import { parseMigration } from "../src/planned-migration.ts";

/** What a server was seen to do to a table that was there before the migration. */
export interface SeenCost {
  readonly migration: string;
  readonly line: number;
  readonly what: "rewrite" | "scan";
  readonly table: string;
  /** Whether lint spoke of it: the table in this migration, or a statement that cannot be read. */
  readonly told: boolean;
}

const filesSql = /* sql */ `
  select c.oid::int, n.nspname || '.' || c.relname as name, pg_relation_filenode(c.oid)::int as node
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`;

/** Runs a folder statement by statement, watches what each really costs, and asks lint's findings for it. */
export async function replayHistory(client: Client, directory: string, count = Infinity): Promise<SeenCost[]> {
  const { migrations } = await readMigrationFolder(directory);
  const { findings } = await lintMigrations({ directory });
  const parser = await loadParser();
  const costs: SeenCost[] = [];
  let messages: string[] = [];
  client.on("notice", ({ message }) => void messages.push(message ?? ""));
  for (const file of migrations.slice(0, count)) {
    const existing = await fileNodes(client);
    const told = findings.filter(({ migration }) => migration === file.id);
    let before = existing;
    for (const { sql, line } of parseMigration(parser, file.up, null, 180_000, []).statements) {
      await client.query("set client_min_messages = debug1");
      messages = [];
      await client.query(sql);
      const said = messages;
      await client.query("set client_min_messages = warning");
      const after = await fileNodes(client);
      for (const [oid, { name, node }] of before) {
        const now = after.get(oid);
        if (!existing.has(oid) || !now || now.node === node) continue;
        costs.push({
          migration: file.id,
          line,
          what: "rewrite",
          table: name,
          told: isTold(told, line, [name, now.name]),
        });
      }
      for (const message of said) {
        const table = await tableOf(client, message);
        if (!table || !existing.has(table.oid)) continue;
        const { name } = table;
        costs.push({ migration: file.id, line, what: "scan", table: name, told: isTold(told, line, [name]) });
      }
      before = after;
    }
  }
  return costs;
}

function isTold(findings: readonly MigrationFinding[], line: number, tables: readonly string[]): boolean {
  return findings.some(({ line: at, subject, rule, also = [] }) =>
    [{ line: at, subject }, ...also].some(
      (place) => tables.includes(place.subject ?? "") || (rule === "opaque-sql" && place.line === line),
    ),
  );
}

/** The table a debug message of the server speaks of. */
async function tableOf(client: Client, message: string): Promise<{ oid: number; name: string } | undefined> {
  const table = /^verifying table "([^"]+)"/.exec(message)?.[1] ?? null;
  const constraint = /^validating foreign key constraint "([^"]+)"/.exec(message)?.[1] ?? null;
  if (table === null && constraint === null) return undefined;
  const { rows } = await client.query<{ oid: number; name: string }>(
    `select r.oid::int, n.nspname || '.' || r.relname as name
       from pg_class r join pg_namespace n on n.oid = r.relnamespace
      where r.relname = $1 and r.relkind in ('r', 'p') or r.oid = (select conrelid from pg_constraint where conname = $2 limit 1)`,
    [table, constraint],
  );
  return rows[0];
}

async function fileNodes(client: Client): Promise<Map<number, { name: string; node: number }>> {
  const { rows } = await client.query<{ oid: number; name: string; node: number }>(filesSql);
  return new Map(rows.map(({ oid, name, node }) => [oid, { name, node }]));
}
