import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import type { Worker } from "node:worker_threads";
import {
  createBackup,
  createWalReceiver,
  listWal,
  openRepository,
  planRestore,
  restoreBackup,
  runWalCommand,
  startWalDaemon,
  verifyBackup,
  verifyWal,
  type WalAnswer,
  walFetch,
  walPush,
} from "@db/backup";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { currentLsn, fillWal } from "./ledger.ts";
import { scratchDirectory } from "./restored-cluster.ts";

const encryptionKey = "correct horse battery staple";
const command = join(import.meta.dirname, "../src/db-wal.ts");
let cluster: TestCluster;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;

beforeAll(async () => {
  cluster = await startCluster({ initdbArguments: ["--wal-segsize=1"], settings: { wal_keep_size: "64MB" } });
  scratch = await scratchDirectory();
});

afterAll(async () => {
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

/** Segments the server has finished, oldest first. */
async function finishedSegments(): Promise<string[]> {
  const client = await cluster.connect();
  await fillWal(client, 3_000_000);
  const { rows } = await client.query<{ name: string }>("select pg_walfile_name(pg_current_wal_lsn()) as name");
  await client.end();
  const names = await readdir(join(cluster.primary.dataDirectory, "pg_wal"));
  return names.filter((name) => /^[0-9A-F]{24}$/.test(name) && name < rows[0]!.name).sort();
}

const pathOf = (name: string): string => join(cluster.primary.dataDirectory, "pg_wal", name);

test("stores a segment once, takes the same again, and never another of its name", async () => {
  const repository = await openRepository(join(scratch.path, "push"), { encryptionKey });
  const [first, second] = (await finishedSegments()) as [string, string];
  await expect(walPush({ repository, path: pathOf(first) })).resolves.toMatchObject({ name: first, result: "stored" });
  await expect(walPush({ repository, path: pathOf(first) })).resolves.toMatchObject({ result: "duplicate" });
  const changed = Buffer.from(await readFile(pathOf(first)));
  changed[500_000]! ^= 1;
  const elsewhere = join(scratch.path, "changed", "pg_wal");
  await mkdir(elsewhere, { recursive: true });
  await writeFile(join(elsewhere, first), changed);
  await expect(walPush({ repository, path: join(elsewhere, first) })).rejects.toMatchObject({
    code: "BACKUP_WAL_CONFLICT",
  });
  await writeFile(join(elsewhere, second), changed);
  await expect(walPush({ repository, path: join(elsewhere, second) })).rejects.toMatchObject({
    code: "BACKUP_WAL_REJECTED",
  });
  const foreign = { repository, path: pathOf(second), systemIdentifier: "1234567890" };
  await expect(walPush(foreign)).rejects.toMatchObject({ code: "BACKUP_WAL_REJECTED" });
  const destination = join(scratch.path, "fetched");
  const from = {
    repository,
    destination,
    systemIdentifier: (await walPush({ repository, path: pathOf(first) })).systemIdentifier,
  };
  await expect(walFetch({ ...from, name: first })).resolves.toMatchObject({ found: true });
  expect((await readFile(destination)).equals(await readFile(pathOf(first)))).toBe(true);
  await expect(walFetch({ ...from, name: second })).resolves.toEqual({ name: second, found: false, bytes: 0 });
});

test("the commands tell recovery 'not there' by 1 and every failure by more than 125", async () => {
  const location = join(scratch.path, "codes");
  const environment = { BACKUP_ENCRYPTION_KEY: encryptionKey };
  const run = async (...words: string[]): Promise<number> => {
    const given = {
      arguments: [...words, "--repo", location],
      environment,
      workingDirectory: cluster.primary.dataDirectory,
    };
    return (await runWalCommand(given)).exitCode;
  };
  const [first, second, third] = (await finishedSegments()) as [string, string, string];
  // Nothing was stored yet: a repository that is not mounted looks the same, and recovery must not end by it.
  await expect(run("fetch", first, "pg_wal/RECOVERYXLOG")).resolves.toBe(255);
  await expect(run("push", `pg_wal/${first}`)).resolves.toBe(0);
  await expect(run("push", `pg_wal/${first}`)).resolves.toBe(0);
  await expect(run("push", "pg_wal/nothing")).resolves.toBe(2);
  const bring = async (name: string): Promise<number> => run("fetch", name, "pg_wal/RECOVERYXLOG");
  await expect(bring(first)).resolves.toBe(0);
  await rm(pathOf("RECOVERYXLOG"));
  await expect(bring(second)).resolves.toBe(1);
  await expect(bring("00000002.history")).resolves.toBe(1);
  environment.BACKUP_ENCRYPTION_KEY = "a wrong key, as long as the other";
  await expect(bring(first)).resolves.toBe(255);
  environment.BACKUP_ENCRYPTION_KEY = encryptionKey;
  await expect(run("push", `pg_wal/${third}`)).resolves.toBe(0);
  // One bit of the stored segment: recovery must stop, not end.
  const folder = (await readdir(location, { recursive: true })).find((name) => name.includes(`${third}-`))!;
  const stored = Buffer.from(await readFile(join(location, folder)));
  stored[stored.length >> 1]! ^= 1;
  await chmod(join(location, folder), 0o600);
  await writeFile(join(location, folder), stored);
  await expect(bring(third)).resolves.toBe(255);
  const repository = await openRepository(location, { encryptionKey });
  const [systemIdentifier] = await readdir(location).then((names) => names.filter((name) => /^\d+$/.test(name)));
  const verified = await verifyWal({ repository, systemIdentifier: systemIdentifier! });
  expect(verified).toMatchObject({ ok: false, files: 2, findings: [{ id: "WAL-CORRUPT", subject: third }] });
  await expect(readdir(join(cluster.primary.dataDirectory, "pg_wal"))).resolves.not.toContain("RECOVERYXLOG");
  await expect(run("fetch", first)).resolves.toBe(255);
});

test("the command asks a daemon that has the key, and does without one when it is gone", async () => {
  const location = join(scratch.path, "daemon");
  const socketPath = join(scratch.path, "wal.sock");
  const repository = await openRepository(location, { encryptionKey });
  const [first, second] = (await finishedSegments()) as [string, string];
  const push = (name: string, env: Record<string, string>): Promise<number> =>
    new Promise((resolve) => {
      const words = ["--conditions=@db/source", command, "push", `pg_wal/${name}`, "--repo", location];
      const options = { cwd: cluster.primary.dataDirectory, env: { PATH: process.env["PATH"], ...env } };
      execFile(process.execPath, [...words, "--socket", socketPath], options, (error) =>
        resolve(error ? Number(error.code) : 0),
      );
    });
  await using daemon = await startWalDaemon({ repository, socketPath });
  await expect(push(first, {})).resolves.toBe(0);
  await daemon.close();
  await expect(push(second, {})).resolves.toBe(2);
  await expect(push(second, { BACKUP_ENCRYPTION_KEY: encryptionKey })).resolves.toBe(0);
  const { systemIdentifier } = await walPush({ repository, path: pathOf(first) });
  expect([...(await listWal(repository, systemIdentifier)).segments]).toEqual([first, second]);
});

test("a daemon whose threads end answers the request after with new ones", async () => {
  const threads: Worker[] = [];
  const began = (thread: Worker): void => void threads.push(thread);
  process.on("worker", began);
  try {
    const repository = await openRepository(join(scratch.path, "threads"), { encryptionKey });
    const socketPath = join(scratch.path, "threads.sock");
    await using _daemon = await startWalDaemon({ repository, socketPath });
    const [first, second] = (await finishedSegments()) as [string, string];
    const push = async (name: string): Promise<WalAnswer> => {
      const socket = connect(socketPath);
      socket.write(`${JSON.stringify({ verb: "push", path: pathOf(name) })}\n`);
      return JSON.parse(await text(socket)) as WalAnswer;
    };
    await expect(push(first)).resolves.toEqual({ exitCode: 0, message: "" });
    const before = [...threads];
    expect(before.length).toBeGreaterThan(0);
    await before[0]!.terminate();
    await expect(push(second)).resolves.toEqual({ exitCode: 0, message: "" });
    expect(threads.length).toBe(before.length * 2);
    await expect(push(second)).resolves.toEqual({ exitCode: 0, message: `${second} was stored before` });
    expect(threads.length).toBe(before.length * 2);
  } finally {
    process.off("worker", began);
  }
});

describe("db-wal-sh", () => {
  const script = join(import.meta.dirname, "../bin/db-wal-sh");
  const timeout = { DB_WAL_TIMEOUT_SECONDS: "2" };
  /** Where `node` is a program that says `words`; undefined: there is none. */
  const run = (words: readonly string[], env: Record<string, string> = {}): Promise<{ code: number; said: string }> =>
    new Promise((resolve) => {
      const options = { cwd: cluster.primary.dataDirectory, env: { PATH: process.env["PATH"], ...env } };
      execFile(script, words, options, (error, _out, said) => resolve({ code: error ? Number(error.code) : 0, said }));
    });

  test("pushes and fetches by the daemon, and tells every outcome apart", async () => {
    const location = join(scratch.path, "pipes");
    const socketPath = join(scratch.path, "pipes.sock");
    const repository = await openRepository(location, { encryptionKey });
    const [first, second] = (await finishedSegments()) as [string, string];
    // No key and no Node on the path: what is answered comes from the daemon.
    const words = ["--repo", location, `--socket=${socketPath}`];
    const path = join(scratch.path, "only-sh");
    await mkdir(path);
    for (const name of ["sh", "mkfifo", "rm", "sleep", "dirname", "readlink"]) {
      await symlink(`/usr/bin/${name}`, join(path, name));
    }
    await using daemon = await startWalDaemon({ repository, socketPath });
    const env = { PATH: path };
    await expect(run(["push", `pg_wal/${first}`, ...words], env)).resolves.toEqual({ code: 0, said: "" });
    await expect(run(["push", `pg_wal/${first}`, ...words], env)).resolves.toMatchObject({
      code: 0,
      said: `db-wal: ${first} was stored before\n`,
    });
    await expect(run(["push", "pg_wal/nothing", ...words], env)).resolves.toMatchObject({ code: 2 });
    const bring = (name: string): Promise<{ code: number; said: string }> =>
      run(["fetch", name, "pg_wal/RECOVERYXLOG", ...words], env);
    await expect(bring(first)).resolves.toEqual({ code: 0, said: "" });
    expect((await readFile(pathOf("RECOVERYXLOG"))).equals(await readFile(pathOf(first)))).toBe(true);
    await rm(pathOf("RECOVERYXLOG"));
    await expect(bring(second)).resolves.toMatchObject({ code: 1, said: `db-wal: ${second} is not there\n` });
    // Without --tails before the paths, and many at once.
    const many = await Promise.all(
      (await finishedSegments()).slice(0, 6).map((name) => run(["push", pathOf(name), ...words], env)),
    );
    expect(many.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0]);
    // Not mounted any more: neither "not there" nor stored into the empty place.
    await rm(location, { recursive: true });
    await expect(bring(first)).resolves.toMatchObject({ code: 255 });
    await expect(run(["push", `pg_wal/${first}`, ...words], env)).resolves.toMatchObject({ code: 2 });
    await daemon.close();
    // No daemon and no Node: never "not there".
    await expect(bring(first)).resolves.toMatchObject({ code: 255 });
    await expect(run(["push", `pg_wal/${first}`, ...words], env)).resolves.toMatchObject({ code: 2 });
    expect(await readdir(`${socketPath}.box`)).toEqual([]);
  });

  test("a daemon that dies with the request, or never answers, is done without; Node that fails is no answer", async () => {
    const [first] = (await finishedSegments()) as [string];
    const socketPath = join(scratch.path, "dead.sock");
    const box = `${socketPath}.box`;
    await mkdir(box);
    await promisify(execFile)("mkfifo", [join(box, "requests")]);
    // Node says 1 when it cannot start; a program in its place says whatever it is told to.
    const path = join(scratch.path, "fake-node");
    await mkdir(path);
    const fake = join(path, "node");
    const env = { PATH: `${path}:${process.env["PATH"]}`, ...timeout };
    const outcome = async (nodeSays: string, verb: readonly string[]): Promise<number> => {
      await writeFile(fake, `#!/bin/sh\n${nodeSays}\n`, { mode: 0o755 });
      return (await run([...verb, "--socket", socketPath], env)).code;
    };
    const push = ["push", `pg_wal/${first}`];
    const fetch = ["fetch", first, "pg_wal/RECOVERYXLOG"];
    // A process that lives and serves nobody, then one that is gone.
    for (const pid of [String(process.pid), "999999999"]) {
      await writeFile(join(box, "pid"), `${pid}\n`);
      await expect(outcome("exit 0", push)).resolves.toBe(0);
      await expect(outcome("exit 1", fetch)).resolves.toBe(255);
      await expect(outcome('exit "$DB_WAL_NOT_THERE"', fetch)).resolves.toBe(1);
      await expect(outcome("kill -9 $$", fetch)).resolves.toBe(255);
      await expect(outcome("kill -9 $$", push)).resolves.toBe(2);
    }
    // A daemon that ends in order tells who waits.
    await expect(run(["fetch", first, "--socket", socketPath], env)).resolves.toMatchObject({ code: 255 });
    await expect(run(["nonsense"], env)).resolves.toMatchObject({ code: 255 });
    await expect(run([], env)).resolves.toMatchObject({ code: 255 });
    expect((await readdir(box)).sort()).toEqual(["pid", "requests"]);
  });

  test("the program it leaves the work to says what it says", async () => {
    const location = join(scratch.path, "whole");
    const [first, second] = (await finishedSegments()) as [string, string];
    const say = (words: readonly string[], notThere: string): Promise<number> =>
      new Promise((resolve) => {
        const env = { BACKUP_ENCRYPTION_KEY: encryptionKey, DB_WAL_NOT_THERE: notThere };
        const options = { cwd: cluster.primary.dataDirectory, env };
        const all = ["--conditions=@db/source", command, ...words, "--repo", location];
        execFile(process.execPath, all, options, (error) => resolve(error ? Number(error.code) : 0));
      });
    await expect(say(["push", `pg_wal/${first}`], "3")).resolves.toBe(0);
    await expect(say(["fetch", second, "pg_wal/RECOVERYXLOG"], "3")).resolves.toBe(3);
    await expect(say(["fetch", "nonsense", "pg_wal/RECOVERYXLOG"], "3")).resolves.toBe(255);
  });
});

test("a slot that lost its WAL is a gap: written down, told, and passed only by a new full backup", async () => {
  const repository = await openRepository(join(scratch.path, "gap"), { encryptionKey });
  const { url } = cluster.primary;
  const gaps: string[] = [];
  const options = {
    url,
    repository,
    slot: "gapped",
    tailIntervalMs: 200,
    backoffMs: { first: 20, longest: 50 },
    onGap: ({ fromLsn }: { fromLsn: string }) => void gaps.push(fromLsn),
  };
  const receiver = createWalReceiver({ ...options, spoolDirectory: join(scratch.path, "spool-1") });
  await receiver.start(AbortSignal.timeout(20_000));
  const client = await cluster.connect();
  await fillWal(client, 2_000_000);
  await receiver.reached(await currentLsn(client), AbortSignal.timeout(20_000));
  const { label } = await createBackup({ url, repository });
  await receiver.stop();
  expect(receiver.status()).toMatchObject({ state: "stopped", gaps: [] });
  const drop = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active";
  // The server sees the closed socket a moment later.
  await expect.poll(async () => (await client.query(drop)).rowCount, { timeout: 10_000 }).toBe(1);
  await client.query("alter system set wal_keep_size = 0");
  await client.query("select pg_reload_conf()");
  for (let turn = 0; turn < 3; turn++) {
    await fillWal(client, 3_000_000);
    await client.query("select pg_switch_wal()");
    await client.query("checkpoint");
  }
  const later = createWalReceiver({ ...options, spoolDirectory: join(scratch.path, "spool-2") });
  await later.start(AbortSignal.timeout(20_000));
  await fillWal(client, 2_000_000);
  await later.reached(await currentLsn(client), AbortSignal.timeout(20_000));
  expect(gaps).toHaveLength(1);
  expect(later.status().gaps).toHaveLength(1);
  const { gaps: recorded } = await listWal(repository, later.status().systemIdentifier!);
  expect(recorded).toMatchObject([{ fromLsn: gaps[0], timeline: 1 }]);
  await expect(verifyBackup({ repository, label, depth: "deep" })).resolves.toMatchObject({ ok: true });
  await later.stop();
  await client.end();
});

test("a restore planned while a receiver works finds the tail it planned in what took its place", async () => {
  const repository = await openRepository(join(scratch.path, "tails"), { encryptionKey });
  const { url } = cluster.primary;
  const client = await cluster.connect();
  await using receiver = createWalReceiver({
    url,
    repository,
    slot: "tails",
    tailIntervalMs: 100,
    spoolDirectory: join(scratch.path, "spool-tails"),
  });
  await receiver.start(AbortSignal.timeout(30_000));
  await createBackup({ url, repository });
  await client.query("create table planned (n int)");
  await receiver.reached(await currentLsn(client), AbortSignal.timeout(30_000));
  const plan = await planRestore({ repository, directory: join(scratch.path, "planned"), target: { type: "latest" } });
  const planned = plan.wal.at(-1)!.partial;
  expect(planned).toBeDefined();
  // Another tail, then the whole segment: what was planned is gone both times.
  await client.query("insert into planned select generate_series(1, 100)");
  await receiver.reached(await currentLsn(client), AbortSignal.timeout(30_000));
  await fillWal(client, 2_500_000);
  await receiver.reached(await currentLsn(client), AbortSignal.timeout(30_000));
  const { partials } = await listWal(repository, receiver.status().systemIdentifier!);
  expect([...partials.values()].flat()).not.toContain(planned);
  await expect(restoreBackup({ repository, plan, durable: false })).resolves.toMatchObject({
    label: plan.backup.label,
  });
  const restored = await readFile(join(scratch.path, "planned", "pg_wal", plan.wal.at(-1)!.segment));
  const original = await readFile(pathOf(plan.wal.at(-1)!.segment));
  const bytes = Number.parseInt(planned!.split("-")[1]!, 16);
  expect(restored.subarray(0, bytes).equals(original.subarray(0, bytes))).toBe(true);
  expect(restored.subarray(bytes).every((byte) => byte === 0)).toBe(true);
  await client.end();
});
