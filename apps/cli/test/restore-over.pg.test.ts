import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { emptyFolder, type Ended, runDb } from "./binary.ts";

let cluster: TestCluster;
let folder: Awaited<ReturnType<typeof emptyFolder>>;
let env: Record<string, string>;
let repository: string;
let to: string;

beforeAll(async () => {
  folder = await emptyFolder();
  cluster = await startCluster();
  repository = join(folder.path, "repository");
  to = join(folder.path, "restored");
  env = {
    DATABASE_URL: cluster.primary.url,
    BACKUP_PATH: repository,
    BACKUP_ENCRYPTION_KEY: "correct horse battery staple",
  };
});

afterAll(async () => {
  await cluster?.stop();
  await folder?.remove();
});

function db(...args: string[]): Promise<Ended> {
  return runDb(args, { cwd: folder.path, env });
}

async function data<T>(...args: string[]): Promise<T> {
  const { stdout, stderr, code } = await db(...args, "--json");
  expect([code, stderr], args.join(" ")).toEqual([0, expect.any(String)]);
  return (JSON.parse(stdout) as { data: T }).data;
}

test("a backup is compressed where and how it is asked for, and what contradicts is refused first", async () => {
  const how = ["--server-compression", "--compression", "gzip:6", "--checkpoint", "fast", "--max-rate", "500MB"];
  const dry = await db("backup", "run", ...how, "--dry-run");
  expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining("would take a full backup") });
  expect(existsSync(repository)).toBe(false);
  const { label } = await data<{ label: string }>("backup", "run", ...how);
  const { systemIdentifier } = await data<{ systemIdentifier: string }>("backup", "show", label);
  const record = join(repository, systemIdentifier, "backups", label, "manifest.json");
  expect(JSON.parse(await readFile(record, "utf8"))).toMatchObject({
    compression: { algorithm: "gzip", level: 6 },
    archives: [{ packs: expect.any(Number) }],
  });
  const refusals: readonly (readonly [readonly string[], RegExp])[] = [
    [["--compression", "lzma"], /--compression is "lzma"[^]*Write zstd/],
    [["--compression", "zstd:99"], /level of zstd must be 1 to 19, not 99/],
    [["--compression", "none", "--server-compression"], /needs an algorithm other than none/],
    [["--checkpoint", "never"], /never/],
    [["--max-rate", "1kB"], /maxRateBytes must be 32 KiB to 1 GiB/],
    [["--logical", "--server-compression"], /--server-compression cannot be of a dump/],
  ];
  for (const [flags, message] of refusals) {
    const { code, stderr } = await db("backup", "run", ...flags);
    expect([flags, code, stderr]).toEqual([flags, 2, expect.stringMatching(message)]);
  }
});

test("a cluster is restored over only by its folder's name, and is kept beside it", async () => {
  expect((await db("restore", "run", "--to", to)).code).toBe(0);
  await writeFile(join(to, "mine"), "written since");
  const refused = await db("restore", "run", "--to", to);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/is not empty: it holds a cluster/)]);
  const dry = await db("restore", "run", "--to", to, "--replace", "--dry-run");
  expect([dry.code, dry.stdout]).toEqual([0, expect.stringMatching(/replaces +.*which is kept as .*before-/)]);
  for (const words of [[], ["--yes"], ["--confirm", "restored"]]) {
    const { code, stderr } = await db("restore", "run", "--to", to, "--replace", ...words);
    expect([words, code, stderr]).toEqual([words, 5, expect.stringMatching(/nothing was changed[^]*Add --confirm/)]);
    // What would be done, lost and kept stands above.
    expect(stderr).toMatch(/safety backup: .*restored\.before-/);
  }
  expect(await readFile(join(to, "mine"), "utf8")).toBe("written since");
  const over = await data<{ reusedFiles: number; files: number }>(
    "restore",
    "run",
    "--to",
    to,
    "--replace",
    "--confirm",
    to,
  );
  expect(over.reusedFiles).toBeGreaterThan(over.files * 0.9);
  const [kept] = (await readdir(folder.path)).filter((name) => name.startsWith("restored.before-"));
  expect(await readFile(join(folder.path, kept!, "mine"), "utf8")).toBe("written since");
  expect(await readdir(to)).not.toContain("mine");
});

test("a plan that was kept replaces as it says, and takes nothing from the cluster where it was told so", async () => {
  const shown = await db("restore", "plan", "--to", to, "--target", "latest", "--replace", "--no-delta");
  const next = `db restore run --to ${to} --target latest --replace --no-delta --confirm ${to}`;
  expect([shown.code, shown.stderr]).toEqual([0, expect.stringContaining(next)]);
  const plan = ["restore", "plan", "--to", to, "--replace", "--no-delta", "--out", "plan.json"];
  const planned = await db(...plan);
  expect([planned.code, planned.stdout]).toEqual([
    0,
    expect.stringMatching(/WAL +\d+ segments, all present[^]*loses +/),
  ]);
  expect(await db("restore", "run", "--plan", "plan.json")).toMatchObject({ code: 5 });
  const both = await db("restore", "run", "--plan", "plan.json", "--replace");
  expect([both.code, both.stderr]).toEqual([2, expect.stringContaining("--plan and --replace")]);
  const report = await data<{ reusedFiles: number }>("restore", "run", "--plan", "plan.json", "--confirm", to);
  expect(report.reusedFiles).toBe(0);
  // Its time has passed: what it would move aside is another by now.
  const again = await db("restore", "run", "--plan", "plan.json", "--confirm", to);
  expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/is there already[^]*Plan again/)]);
});

test("in a repository of two clusters one is named, and a cluster is never replaced by another's backup", async () => {
  // Made by another initdb, so that it is another cluster and no copy.
  await using other = await startCluster({ initdbArguments: ["--wal-segsize=1"] });
  const run = { cwd: folder.path, env: { ...env, DATABASE_URL: other.primary.url } };
  const taken = await runDb(["backup", "run", "--json"], run);
  const { systemIdentifier, label } = (
    JSON.parse(taken.stdout) as { data: { systemIdentifier: string; label: string } }
  ).data;
  for (const words of [
    ["restore", "plan", "--to", "which"],
    ["restore", "drill"],
  ]) {
    const { code, stderr } = await db(...words);
    expect([words, code, stderr]).toEqual([
      words,
      2,
      expect.stringMatching(/holds backups of 2 clusters[^]*Say which one/),
    ]);
  }
  const plan = await data<{ backup: { label: string } }>(
    "restore",
    "plan",
    "--to",
    "which",
    "--cluster",
    systemIdentifier,
  );
  expect(plan.backup.label).toBe(label);
  const wrong = await db("restore", "run", "--to", to, "--replace", "--cluster", systemIdentifier, "--confirm", to);
  expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringMatching(/holds cluster \d+, the backup is of/)]);
});

test("db backup verify reads the WAL archive too, and a changed byte in it fails a check", async () => {
  const client = await cluster.connect();
  await client.query("create table written as select 1 as n");
  const { rows } = await client.query<{ name: string }>("select pg_walfile_name(pg_switch_wal()) as name");
  await client.end();
  const segment = join(cluster.primary.dataDirectory, "pg_wal", rows[0]!.name);
  expect((await db("wal", "push", segment, "--repo", repository)).code).toBe(0);
  expect((await db("backup", "verify")).stdout).toMatch(/2 backups, 1 files of WAL/);
  const stored = (await readdir(repository, { recursive: true })).find((name) => name.includes(`${rows[0]!.name}-`))!;
  const bytes = await readFile(join(repository, stored));
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(join(repository, stored), bytes);
  const damaged = await db("backup", "verify");
  expect([damaged.code, damaged.stdout]).toEqual([4, expect.stringMatching(/damaged[^]*does not match its checksum/)]);
});
