import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { successors } from "@db/legacy-compat";
import { startCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const home = fileURLToPath(new URL("..", import.meta.url));
// In the package, so that its own dependencies resolve; in a folder that git does not see.
const made = join(home, "dist", "readme-table");
let folder: string;

interface Row {
  readonly name: string;
  readonly old: string;
  readonly new: string;
}

/** The rows of "Old name → new name"; one without a name goes on with the one before. */
async function rowsOf(): Promise<readonly Row[]> {
  const text = await readFile(join(home, "README.md"), "utf8");
  const table = text.split("## Old name → new name")[1]!.split("\n## ")[0]!;
  let name = "";
  return table.split("\n").flatMap((line) => {
    const cells = /^\| (?:`(\w+)`)? *\| `([^`]+)` \| `([^`]+)` \|$/.exec(line);
    if (!cells) return [];
    name = cells[1] ?? name;
    return [{ name, old: cells[2]!, new: cells[3]! }];
  });
}

/** What the cells take for given, as the README says it above the table. */
const given = `
import { AsyncLocalStorage } from "node:async_hooks";
import { loadConfig } from "@db/config";
import { createOrchestrator, defineScript } from "@db/orchestrator";
import { createPool, type PoolOptions } from "@db/pool";
import { drizzle } from "drizzle-orm/node-postgres";
import { pgTable, serial, text } from "drizzle-orm/pg-core";
import type pg from "pg";

type Next = (error?: unknown) => unknown;
interface Request { readonly headers: Record<string, string> }
interface Response extends NodeJS.EventEmitter { readonly statusCode: number; end(...args: never[]): unknown }
const app = { use: (_: (request: Request, response: Response, next: Next) => unknown) => undefined };
const { config } = await loadConfig();
const orchestrator = createOrchestrator(config);
const { pool } = orchestrator;
const options: PoolOptions = { primaryUrl: process.env["DATABASE_URL"]!, replicaUrls: [process.env["READ_REPLICA_URLS"]!] };
const pgConfig: pg.PoolConfig = { connectionString: process.env["DATABASE_URL"]! };
const contexts = new AsyncLocalStorage<{ readonly requestId: string }>();
const [sql, values, title, requestId] = ["select title from bills where status = $1", ["active"], "New bill", "r1"] as const;
const bills = pgTable("bills", { id: serial().primaryKey(), title: text().notNull() });
const use = (client: { query(text: string): Promise<unknown> }) => client.query("select 1");
const work = async () => 1;
const request: Request = { headers: {} };
const handler = async (_: Request) => 1;
void [app, createPool, defineScript, drizzle, options, pgConfig, contexts, sql, values, title, requestId, bills, use, work, request, handler, pool];
await orchestrator.start(["pool"]);
`;

/** A program that does what one column says, row by row; last come what may be made once, and what closes it. */
function programOf(rows: readonly Row[], column: "old" | "new"): string {
  const names = [...new Set(rows.map(({ name }) => name))];
  const isLast = ({ [column]: code }: Row): boolean =>
    /\.(?:close|stop|disconnect)\(|(?:create|close)Connection/.test(code);
  const ordered = [...rows.filter((row) => !isLast(row)), ...rows.filter(isLast)];
  const steps = ordered.map(
    (row) => `await step(${JSON.stringify(`${row.name}: ${row[column]}`)}, async () => {\n  ${row[column]};\n});`,
  );
  return [
    given,
    column === "old" ? `import { ${names.join(", ")} } from "@db/legacy-compat";` : "",
    `const failed: string[] = [];
async function step(name: string, run: () => Promise<void>): Promise<void> {
  await run().catch((error: unknown) => failed.push(name + ": " + String(error)));
}`,
    ...steps,
    `console.log(JSON.stringify({ steps: ${steps.length}, failed }));\nprocess.exit(0);`,
  ].join("\n");
}

async function run(column: "old" | "new", env: Record<string, string>): Promise<{ steps: number; failed: string[] }> {
  const argv = ["--conditions=@db/source", "--no-deprecation", join(made, `${column}.ts`)];
  const child = spawn(process.execPath, argv, { cwd: folder, env, stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (data: Buffer) => (said += String(data)));
  await once(child, "close");
  // Scripts say on stdout what they did.
  return JSON.parse(said.trim().split("\n").at(-1)!) as { steps: number; failed: string[] };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "readme-table-"));
  await mkdir(made, { recursive: true });
  const rows = await rowsOf();
  for (const column of ["old", "new"] as const) await writeFile(join(made, `${column}.ts`), programOf(rows, column));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await rm(made, { recursive: true, force: true });
});

describe("the README's table of old and new names", () => {
  test("has a row for every old name, and its old code uses it", async () => {
    const rows = await rowsOf();
    expect([...new Set(rows.map(({ name }) => name))].toSorted()).toEqual(Object.keys(successors).toSorted());
    for (const row of rows) expect(row.old).toMatch(new RegExp(String.raw`\b${row.name}\b`));
  });

  test("type-checks on both sides", async () => {
    const compilerOptions = {
      strict: true,
      target: "es2024",
      module: "nodenext",
      noEmit: true,
      skipLibCheck: true,
      types: ["node"],
      typeRoots: [join(home, "node_modules/@types"), join(home, "../../node_modules/@types")],
    };
    await writeFile(join(made, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
    const compiler = join(home, "../../node_modules/typescript/bin/tsc");
    const { stdout } = spawnSync(process.execPath, [compiler, "-p", made], { encoding: "utf8", timeout: 120_000 });
    expect(stdout).toBe("");
  });

  test("runs on both sides, on a cluster with a replica", async () => {
    await using cluster = await startCluster({ replicas: 1 });
    const client = await cluster.connect();
    await client.query("create table bills (id serial primary key, title text not null, status text)");
    await client.end();
    await mkdir(join(folder, "migrations"));
    const env = {
      PATH: process.env["PATH"]!,
      HOME: folder,
      DATABASE_URL: cluster.primary.url,
      READ_REPLICA_URLS: cluster.replicas[0].url,
      BACKUP_ENCRYPTION_KEY: "correct horse battery staple",
    };
    const { length } = await rowsOf();
    for (const column of ["old", "new"] as const) {
      const BACKUP_PATH = join(folder, `backups-${column}`);
      expect(await run(column, { ...env, BACKUP_PATH }), column).toEqual({ steps: length, failed: [] });
    }
  }, 120_000);
});
