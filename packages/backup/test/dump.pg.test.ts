import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  compareDatabases,
  createDump,
  type DumpClient,
  expireDumps,
  markDump,
  openRepository,
  planDumpExpiration,
  planDumpRestore,
  readDumpCatalog,
  type Repository,
  restoreDump,
  rotateKey,
  verifyDump,
} from "@db/backup";
import { findBinaries } from "@db/embedded";
import { startCluster, type TestCluster } from "@db/testkit";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scratchDirectory } from "./restored-cluster.ts";

const run = promisify(execFile);
const encryptionKey = "correct horse battery staple";
const clients: readonly DumpClient[] = await findBinaries({ path: process.env["PATH"] ?? "" });
const able = clients.filter(({ tools, problem }) => problem === undefined && tools.includes("pg_dump"));
const version = Math.min(18, Math.max(0, ...able.map(({ major }) => major)));
if (version < 12) process.stderr.write("dumps are not tested: no pg_dump of 12 or newer was found on this machine\n");

describe.skipIf(version < 12)("a dump", () => {
  let cluster: TestCluster<0>;
  let scratch: Awaited<ReturnType<typeof scratchDirectory>>;
  let repository: Repository;
  let url: string;
  let label: string;

  beforeAll(async () => {
    cluster = await startCluster({ version });
    scratch = await scratchDirectory();
    ({ url } = await cluster.createDatabase());
    await query(url, "create role owner_of_bills", "grant owner_of_bills to current_user");
    await query(
      url,
      `create table bill (id int generated always as identity primary key, title text, payload bytea);
       insert into bill (title, payload) select 'bill ' || n, decode(md5(n::text), 'hex') from generate_series(1, 20000) n;
       create index on bill (title);
       create table vote (bill int references bill, voter text, primary key (bill, voter));
       insert into vote select n % 20000 + 1, 'voter ' || n from generate_series(1, 30000) n;
       create view titles as select title from bill;
       create sequence ticket start 77; select nextval('ticket');
       alter table vote owner to owner_of_bills`,
    );
    repository = await openRepository(join(scratch.path, "repository"), { encryptionKey });
    ({ label } = await createDump({ url, repository, clients, workDirectory: scratch.path }));
  });

  afterAll(async () => {
    await cluster?.stop();
    await scratch?.[Symbol.asyncDispose]();
  });

  async function query(at: string, ...statements: string[]): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: at });
    await client.connect();
    try {
      let rows: Record<string, unknown>[] = [];
      for (const statement of statements) rows = (await client.query<Record<string, unknown>>(statement)).rows ?? [];
      return rows;
    } finally {
      await client.end();
    }
  }

  const inDatabase = (database: string): string => {
    const other = new URL(url);
    other.pathname = `/${database}`;
    return other.href;
  };

  const planned = (database: string, more: object = {}) =>
    planDumpRestore({ repository, label, url: cluster.primary.url, database, clients, ...more });

  test("restores into a new database with the same rows, sequences and owners", async () => {
    const plan = await planned("restored");
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    expect(plan).toMatchObject({
      createsDatabase: true,
      dump: { label, encrypted: true, roles: ["owner_of_bills", "postgres"] },
    });
    expect(JSON.stringify(plan)).not.toContain("postgres:postgres");
    await restoreDump({ repository, plan, url: cluster.primary.url, workDirectory: scratch.path });
    const [source, restored] = [
      new Client({ connectionString: url }),
      new Client({ connectionString: inDatabase("restored") }),
    ];
    await Promise.all([source.connect(), restored.connect()]);
    const report = await compareDatabases(source as never, restored as never);
    await Promise.all([source.end(), restored.end()]);
    expect(report.tables.map(({ table, restoredRows }) => [table, restoredRows])).toEqual([
      ["bill", 20_000],
      ["vote", 30_000],
    ]);
    expect(report.equal).toBe(true);
    const owner = "select relowner::regrole::text as owner from pg_class where relname = 'vote'";
    expect(await query(inDatabase("restored"), owner)).toEqual([{ owner: "owner_of_bills" }]);
    // Nothing that is not encrypted is left behind.
    expect((await readdir(scratch.path)).sort()).toEqual(["repository"]);
  });

  test("is of one snapshot, whatever is written meanwhile", async () => {
    const busy = new Client({ connectionString: url });
    await busy.connect();
    const written = new AbortController();
    const writer = (async () => {
      for (let n = 0; !written.signal.aborted; n++) {
        await busy.query("begin");
        await busy.query("insert into vote select 1, 'late ' || $1::text", [n]);
        await busy.query("update bill set title = 'late ' || $1::text where id = 1", [n]);
        await busy.query("commit");
      }
    })();
    const { label: late } = await createDump({ url, repository, clients, jobs: 3 });
    written.abort();
    await writer;
    const plan = await planned("snapshot", { label: late });
    await restoreDump({ repository, plan, url: cluster.primary.url });
    const rows = await query(
      inDatabase("snapshot"),
      "select (select count(*)::int - 1 from vote where voter like 'late %') as votes, substr(title, 6)::int as n from bill where id = 1",
    );
    expect(rows[0]!["votes"]).toBe(rows[0]!["n"]);
    await query(url, "delete from vote where voter like 'late %'");
    await busy.end();
  });

  test("verifies at every depth, without a key where none is needed, and shows every damage", async () => {
    const locked = await openRepository(repository.location);
    await expect(verifyDump({ repository: locked, label })).resolves.toMatchObject({ ok: true });
    await expect(verifyDump({ repository: locked, label, depth: "deep" })).rejects.toMatchObject({
      code: "BACKUP_MISSING_KEY",
    });
    await expect(verifyDump({ repository, label, depth: "deep" })).resolves.toMatchObject({ ok: true, findings: [] });
    expect((await readDumpCatalog(repository)).dumps.find((dump) => dump.label === label)?.verifiedAt).toMatch(
      /^\d{4}-/,
    );
    const objects = (await readdir(repository.location, { recursive: true })).filter(
      (name) => name.includes(`${label}/`) && name.endsWith(".sealed"),
    );
    expect(objects.length).toBeGreaterThan(1);
    for (const name of objects) {
      const path = join(repository.location, name);
      const before = await readFile(path);
      const changed = Buffer.from(before);
      changed[changed.length >> 1]! ^= 1;
      await writeFile(path, changed);
      await expect(verifyDump({ repository, label })).resolves.toMatchObject({ ok: false });
      await expect(
        restoreDump({ repository, plan: await planned("never"), url: cluster.primary.url }),
      ).rejects.toMatchObject({ code: "BACKUP_CORRUPT" });
      await writeFile(path, before.subarray(0, -1));
      await expect(verifyDump({ repository, label, depth: "listing" })).resolves.toMatchObject({ ok: false });
      await writeFile(path, before);
    }
    expect(await query(cluster.primary.url, "select datname from pg_database where datname = 'never'")).toEqual([]);
  });

  test("is unpacked for pg_restore by the rescue script alone", async () => {
    const to = join(scratch.path, "rescued");
    const options = { env: { ...process.env, BACKUP_ENCRYPTION_KEY: encryptionKey } };
    await run(process.execPath, [join(repository.location, "rescue.mjs"), "restore", label, to], options);
    await query(cluster.primary.url, "create database by_hand");
    const { directory } = able.find(({ major }) => major >= version)!;
    await run(join(directory, "pg_restore"), ["--format=directory", `--dbname=${inDatabase("by_hand")}`, to]);
    expect(await query(inDatabase("by_hand"), "select count(*)::int as n from bill")).toEqual([{ n: 20_000 }]);
    await rm(to, { recursive: true });
  });

  test("is refused before anything is touched where it cannot go", async () => {
    await expect(planned("postgres", { label: "20200101-000000L" })).rejects.toMatchObject({
      code: "BACKUP_NOT_FOUND",
    });
    await expect(planned(new URL(url).pathname.slice(1))).rejects.toMatchObject({ code: "BACKUP_DATABASE_NOT_EMPTY" });
    const older = clients.map((client) => ({ ...client, major: client.major - 10 }));
    await expect(planned("never", { clients: older })).rejects.toMatchObject({
      code: "BACKUP_CLIENT_MISSING",
      hint: expect.stringContaining(`postgresql-client-${version}`),
    });
    await query(url, "alter role owner_of_bills rename to another_owner");
    await expect(planned("never")).rejects.toMatchObject({ code: "BACKUP_MISSING_ROLES", roles: ["owner_of_bills"] });
    const plan = await planned("ownerless", { owners: false });
    await restoreDump({ repository, plan, url: cluster.primary.url });
    expect(await query(inDatabase("ownerless"), "select count(*)::int as n from vote")).toEqual([{ n: 30_000 }]);
  });

  test("without a client new enough nothing is begun, and the hint says what to install", async () => {
    const other = join(scratch.path, "no-client");
    const dumping = createDump({ url, repository: await openRepository(other), clients: [] });
    await expect(dumping).rejects.toMatchObject({
      code: "BACKUP_CLIENT_MISSING",
      message: expect.stringContaining("none was found"),
    });
    expect(await readdir(scratch.path)).not.toContain("no-client");
  });

  test("fails with pg_dump's own words, and leaves nothing", async () => {
    const holder = new Client({ connectionString: url });
    await holder.connect();
    await holder.query("begin; lock table bill in access exclusive mode");
    const work = join(scratch.path, "work");
    await mkdir(work);
    const before = (await readDumpCatalog(repository)).dumps.length;
    const dumping = createDump({ url, repository, clients, lockTimeoutMs: 200, workDirectory: work });
    await expect(dumping).rejects.toMatchObject({
      code: "BACKUP_DUMP_FAILED",
      message: expect.stringMatching(/statement timeout/),
      hint: expect.stringMatching(/holds a lock/),
    });
    const abort = new AbortController();
    const aborted = createDump({ url, repository, clients, signal: abort.signal, workDirectory: work });
    // It waits for the lock, so it is under way for certain.
    const waiting = "select count(*)::int as n from pg_locks where not granted";
    await expect.poll(async () => (await query(cluster.primary.url, waiting))[0]!["n"], { timeout: 20_000 }).toBe(1);
    abort.abort();
    await expect(aborted).rejects.toMatchObject({ code: "CORE_ABORTED" });
    expect(await readdir(work)).toEqual([]);
    expect(await readDumpCatalog(repository)).toMatchObject({ dumps: { length: before }, unusable: [] });
    await holder.end();
  });

  test("goes by the retention of its database, a marked one stays, and a rotated key opens what stays", async () => {
    const { label: newest } = await createDump({ url, repository, clients });
    await verifyDump({ repository, label: newest });
    await markDump(repository, label, { kind: "hold", reason: "case", now: Date.now() });
    const catalog = await readDumpCatalog(repository);
    expect(catalog.dumps.length).toBe(3);
    const plan = planDumpExpiration(catalog, { keepFull: 1 }, Date.now());
    expect(plan.keep.map((kept) => [kept.label, kept.reasons[0]])).toEqual([
      [newest, "one of the newest 1 full backups"],
      [label, "held: case"],
    ]);
    await expect(expireDumps({ repository, plan })).resolves.toMatchObject({ removed: { length: 1 }, skipped: [] });
    expect((await readDumpCatalog(repository)).dumps.map((dump) => dump.label)).toEqual([newest, label]);
    await rotateKey({ repository, newEncryptionKey: "another horse, another battery" });
    const again = await openRepository(repository.location, { encryptionKey: "another horse, another battery" });
    await expect(verifyDump({ repository: again, label, depth: "deep" })).resolves.toMatchObject({ ok: true });
  });
});
