import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { findBinaries } from "@db/embedded";
import { startCluster } from "@db/testkit";
import { Client } from "pg";
import { expect, test } from "vitest";
import { emptyFolder, type Ended, runDb } from "./binary.ts";

const clients = (await findBinaries({ path: process.env["PATH"] ?? "" })).filter(
  ({ tools, problem }) => problem === undefined && tools.includes("pg_dump"),
);
const newest = Math.max(0, ...clients.map(({ major }) => major));
if (newest < 12) process.stderr.write("dumps are not tested: no pg_dump of 12 or newer was found on this machine\n");
if (newest >= 18)
  process.stderr.write("no refusal of an old pg_dump is tested: this machine has one for every server\n");

test.skipIf(newest < 12)("a dump is taken, listed, verified, held, restored and let go like a backup", async () => {
  const folder = await emptyFolder();
  const cluster = await startCluster({ version: Math.min(18, newest) });
  try {
    const database = await cluster.createDatabase();
    const client = new Client({ connectionString: database.url });
    await client.connect();
    await client.query("create table bill as select n, md5(n::text) as title from generate_series(1, 5000) n");
    await client.end();
    const env = {
      DATABASE_URL: database.url,
      BACKUP_PATH: join(folder.path, "repository"),
      BACKUP_ENCRYPTION_KEY: "correct horse battery staple",
    };
    const db = (...args: string[]): Promise<Ended> => runDb(args, { cwd: folder.path, env });
    expect((await db("backup", "run", "--logical", "--dry-run")).code).toBe(0);
    expect(await readdir(folder.path)).not.toContain("repository");
    const ran = await db("backup", "run", "--logical", "--json");
    const { label } = (JSON.parse(ran.stdout) as { data: { label: string } }).data;
    expect((await db("backup", "list")).stdout).toContain(`${label}  dump of ${database.name}`);
    expect((await db("backup", "show", label)).stdout).toContain("by pg_dump");
    expect(await db("backup", "verify", label, "--depth", "deep")).toMatchObject({ code: 0 });
    expect((await db("backup", "hold", label, "--reason", "case")).code).toBe(0);
    expect((await db("backup", "expire", "--dry-run")).stdout).toContain(`keep    ${label}: held: case`);
    const restore = ["restore", "run", "--label", label];
    expect((await db(...restore, "--to", "folder")).stderr).toMatch(/--to cannot be of a dump/);
    expect((await db(...restore, "--to-database", database.name)).stderr).toMatch(/holds 1 tables/);
    expect((await db("restore", "plan", "--label", label, "--to-database", "copy")).stdout).toMatch(/is made/);
    expect(await db(...restore, "--to-database", "copy")).toMatchObject({ code: 0 });
    const copy = new URL(database.url);
    copy.pathname = "/copy";
    const restored = new Client({ connectionString: copy.href });
    await restored.connect();
    expect((await restored.query("select count(*)::int as n from bill")).rows).toEqual([{ n: 5000 }]);
    await restored.end();
  } finally {
    await cluster.stop();
    await folder.remove();
  }
});

test.skipIf(newest >= 18)(
  "a server newer than every client is refused, and the hint says what to install",
  async () => {
    const folder = await emptyFolder();
    const cluster = await startCluster();
    try {
      const env = { DATABASE_URL: cluster.primary.url };
      const { code, stderr } = await runDb(["backup", "run", "--logical", "--repo", "r"], { cwd: folder.path, env });
      expect([code, stderr]).toEqual([1, expect.stringMatching(/pg_dump of PostgreSQL 18[^]*postgresql-client-18/)]);
      expect(await readdir(folder.path)).not.toContain("r");
    } finally {
      await cluster.stop();
      await folder.remove();
    }
  },
);
