import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { emptyFolder, type Ended, runDb, startDb } from "./binary.ts";

const key = "correct horse battery staple";
let cluster: TestCluster;
let folder: Awaited<ReturnType<typeof emptyFolder>>;
let env: Record<string, string>;
let label: string;

beforeAll(async () => {
  folder = await emptyFolder();
  cluster = await startCluster({ tablespaces: ["side"] });
  const client = await cluster.connect();
  await client.query("create table moved tablespace side as select generate_series(1, 100) as n");
  await client.end();
  await writeFile(join(folder.path, "key"), `${key}\n`);
  env = {
    DATABASE_URL: cluster.primary.url,
    BACKUP_PATH: join(folder.path, "repository"),
    BACKUP_ENCRYPTION_KEY_FILE: join(folder.path, "key"),
  };
  const ran = await db("backup", "run", "--json");
  label = (JSON.parse(ran.stdout) as { data: { label: string } }).data.label;
});
afterAll(async () => {
  await cluster?.stop();
  await folder?.remove();
});

function db(...args: string[]): Promise<Ended> {
  return runDb(args, { cwd: folder.path, env });
}

/** Without a database: its repository is all there is. */
function alone(...args: string[]): Promise<Ended> {
  const { DATABASE_URL: _gone, ...rest } = env;
  return runDb(args, { cwd: folder.path, env: rest });
}

async function data<T>(...args: string[]): Promise<T> {
  const { stdout, stderr } = await alone(...args, "--json");
  expect(stderr, args.join(" ")).toBe("");
  return (JSON.parse(stdout) as { data: T }).data;
}

describe("without its database a repository", () => {
  test("is listed, shown and verified at every depth", async () => {
    expect((await alone("backup", "list")).stdout).toContain(label);
    expect((await alone("backup", "show", label)).stdout).toMatch(/tablespaces +\d+ .*side/);
    expect(await data("backup", "show", label)).toMatchObject({ label, encrypted: true });
    for (const depth of ["listing", "checksums", "deep"])
      expect(await alone("backup", "verify", label, "--depth", depth)).toMatchObject({ code: 0 });
  });

  test("has backups kept and held, which the retention then tells as the reason", async () => {
    expect((await alone("backup", "hold", label, "--reason", "case 4711", "--dry-run")).code).toBe(0);
    expect(await data<object>("backup", "show", label)).not.toHaveProperty("mark");
    expect((await alone("backup", "hold", label, "--reason", "case 4711")).code).toBe(0);
    expect((await alone("backup", "expire", "--dry-run")).stdout).toContain(`keep    ${label}: held: case 4711`);
    const told = await alone("backup", "expire", "--dry-run", "--explain", "--keep-full", "1");
    expect(told.stdout).toMatch(/cluster \d+: now 1 backups.*; then 1 backups/);
    expect((await alone("backup", "expire", "--dry-run", "--keep-full", "many")).code).toBe(2);
    expect((await alone("backup", "hold", label, "--release")).code).toBe(0);
    expect((await alone("backup", "keep", label, "--until", "2030-01-01T00:00:00Z")).code).toBe(0);
    expect(await data("backup", "show", label)).toMatchObject({
      mark: { kind: "keep", until: "2030-01-01T00:00:00Z" },
    });
    expect((await alone("backup", "keep", label, "--release")).code).toBe(0);
    expect((await alone("backup", "keep", label, "--until", "soon")).code).toBe(2);
    expect((await alone("backup", "hold", "20200101-000000F")).stderr).toContain("no complete backup");
  });

  test("gets another key, and then only that one opens it", async () => {
    const repository = join(folder.path, "rotated");
    expect((await db("backup", "run", "--repo", repository)).code).toBe(0);
    await writeFile(join(folder.path, "new-key"), "another horse, another battery\n");
    const rotate = ["backup", "rotate-key", "--repo", repository];
    expect((await alone(...rotate)).code).toBe(2);
    expect((await alone(...rotate, "--new-key-file", "new-key")).code).toBe(0);
    const deep = ["backup", "verify", "--repo", repository, "--depth", "deep"];
    expect((await alone(...deep)).stderr).toContain("the encryption key is not the one of the repository");
    const renewed = { ...env, BACKUP_ENCRYPTION_KEY_FILE: join(folder.path, "new-key") };
    expect((await runDb(deep, { cwd: folder.path, env: renewed })).code).toBe(0);
  });
});

describe("a restore", () => {
  test("does the plan that was written down, with its tablespace moved, and refuses flags beside it", async () => {
    const to = join(folder.path, "restored");
    const plan = join(folder.path, "plan.json");
    const oid = (await data<{ tablespaces: { oid: string }[] }>("backup", "show", label)).tablespaces[0]!.oid;
    const words = ["restore", "plan", "--to", to, "--tablespace", `${oid}=side`, "--action", "pause", "--out", plan];
    expect((await alone(...words)).code).toBe(0);
    expect(await readdir(folder.path)).not.toContain("restored");
    expect((await alone("restore", "run", "--plan", plan, "--to", to)).code).toBe(2);
    expect((await alone("restore", "run", "--plan", plan)).code).toBe(0);
    expect((await readdir(join(folder.path, "side")))[0]).toMatch(/^PG_18_/);
    expect(await readFile(join(to, "postgresql.auto.conf"), "utf8")).toContain("recovery_target_action = 'pause'");
  });

  const refusals: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ["an unknown kind of target", ["--target", "yesterday"], 2, /Write immediate, latest/],
    ["two targets", ["--target", "latest", "--target", "lsn=0/1"], 2, /2 targets are given/],
    ["a target before the backup's end", ["--target", "time=2020-01-01T00:00:00Z"], 1, /before the end of backup/],
    ["a target after the last WAL", ["--target", "lsn=FF/0"], 1, /beyond the stored WAL/],
    ["a time without its zone", ["--target", "time=2026-11-10 03:00"], 2, /not a time with its zone/],
    ["a position that is none", ["--target", "lsn=here"], 2, /here/],
    ["an unknown backup", ["--label", "20200101-000000F"], 1, /no complete backup/],
    ["an unknown timeline", ["--target", "latest", "--timeline", "77"], 1, /timeline 77/],
    ["another timeline than the backup's own end", ["--timeline", "77"], 2, /is on timeline 1, not 77/],
    ["another major version", ["--pg-version", "17"], 1, /PostgreSQL 18, the server to run it is 17/],
    ["a tablespace it does not have", ["--tablespace", "1=elsewhere"], 2, /has no tablespace 1/],
    ["a tablespace inside the data", ["--tablespace", "OID=never/side"], 2, /would hold another one/],
  ];

  test.each(refusals)("refuses %s before anything is written", async (_what, flags, code, message) => {
    const { tablespaces } = await data<{ tablespaces: { oid: string }[] }>("backup", "show", label);
    const words = flags.map((flag) => flag.replace("OID", tablespaces[0]!.oid));
    const side = words.some((word) => word.startsWith("--tablespace"))
      ? []
      : ["--tablespace", `${tablespaces[0]!.oid}=side-of-never`];
    for (const verb of ["plan", "run"]) {
      const { code: ended, stderr } = await alone("restore", verb, "--to", "never", ...words, ...side);
      expect(stderr).toMatch(message);
      // What to do stands below what is wrong.
      expect(stderr.trim().split("\n").length).toBeGreaterThan(1);
      expect(ended).toBe(code);
    }
    expect(await readdir(folder.path)).not.toContain("never");
    expect(await readdir(folder.path)).not.toContain("side-of-never");
  });

  test("refuses a folder that holds something, and one whose server runs", async () => {
    await writeFile(join(folder.path, "precious"), "mine");
    const full = await alone("restore", "run", "--to", folder.path, "--pg-version", "18");
    expect(full).toMatchObject({ code: 1 });
    expect(full.stderr).toMatch(/is not empty/);
    const { dataDirectory } = cluster.primary;
    const running = await alone("restore", "run", "--to", dataDirectory);
    expect(running.stderr).toMatch(/holds a cluster that runs or was killed \(process \d+\)/);
    expect(await readFile(join(folder.path, "precious"), "utf8")).toBe("mine");
  });

  test("refuses the tablespace's own folder on the server, which is in use", async () => {
    const { code, stderr } = await alone("restore", "run", "--to", "never");
    expect([code, stderr]).toEqual([1, expect.stringMatching(/tablespace-side is not empty/)]);
    expect(await readdir(folder.path)).not.toContain("never");
  });

  test("without the key, and with a wrong one, says so and writes nothing", async () => {
    const { BACKUP_ENCRYPTION_KEY_FILE: _file, ...keyless } = env;
    const none = await runDb(["restore", "run", "--to", "never"], { cwd: folder.path, env: keyless });
    expect(none.stderr).toMatch(/is encrypted and no key was given[^]*BACKUP_ENCRYPTION_KEY/);
    const wrong = { ...keyless, BACKUP_ENCRYPTION_KEY: "not the right passphrase" };
    const refused = await runDb(["restore", "run", "--to", "never"], { cwd: folder.path, env: wrong });
    expect(refused.stderr).toMatch(/the encryption key is not the one of the repository/);
    expect(await readdir(folder.path)).not.toContain("never");
  });
});

test("Ctrl-C in a backup leaves nothing that lists, and in a restore nothing that starts", async () => {
  const client = await cluster.connect();
  await client.query("create table big as select repeat(md5(n::text), 30) as t from generate_series(1, 150000) n");
  await client.end();
  const repository = join(folder.path, "interrupted");
  const stream = ["--output", "stream-json", "--repo", repository];
  const taking = startDb(["backup", "run", ...stream], { cwd: folder.path, env });
  await taking.printed('"type":"progress"');
  process.kill(taking.child.pid!, "SIGINT");
  expect((await taking.ended).code).toBe(130);
  const left = await data<{ backups: unknown[]; unusable: unknown[] }>("backup", "list", "--repo", repository);
  expect(left).toMatchObject({ backups: [], unusable: [] });
  expect((await db("backup", "run", "--repo", repository)).code).toBe(0);
  const to = join(folder.path, "cut-short");
  const { tablespaces } = await data<{ tablespaces: { oid: string }[] }>("backup", "show", label);
  const place = ["--to", to, "--tablespace", `${tablespaces[0]!.oid}=${join(folder.path, "cut-side")}`];
  const restoring = startDb(["restore", "run", ...stream, ...place], { cwd: folder.path, env });
  await restoring.printed('"type":"progress"');
  process.kill(restoring.child.pid!, "SIGINT");
  expect((await restoring.ended).code).toBe(130);
  expect(await readdir(to).catch(() => [])).not.toContain("PG_VERSION");
  expect((await alone("restore", "run", "--repo", repository, ...place)).code).toBe(0);
});
