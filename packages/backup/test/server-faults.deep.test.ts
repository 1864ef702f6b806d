import { readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type BackupOptions,
  createBackup,
  listBackups,
  openRepository,
  planExpiration,
  readCatalog,
  type Repository,
  restoreBackup,
  planRestore,
  verifyBackup,
} from "@db/backup";
import { type Clock, systemClock } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fillWal } from "./ledger.ts";
import { scratchDirectory } from "./restored-cluster.ts";

const encryptionKey = "7e".repeat(32);
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;

beforeAll(async () => {
  scratch = await scratchDirectory();
});

afterAll(async () => {
  await scratch?.[Symbol.asyncDispose]();
});

function repositoryAt(name: string): Promise<Repository> {
  return openRepository(join(scratch.path, name), { encryptionKey });
}

/** A clock that stands at a moment of its own, and waits as any other. */
function clockAt(time: string): Clock {
  return { ...systemClock, now: () => Date.parse(time) };
}

/** Begins a slow backup and resolves once its files stream. */
async function slowBackup(options: BackupOptions): Promise<{ readonly ended: Promise<unknown> }> {
  let begun = (): void => undefined;
  const streaming = new Promise<void>((resolve) => (begun = resolve));
  const ended = createBackup({
    ...options,
    maxRateBytes: 2 * 1024 * 1024,
    onProgress: ({ phase, current }) => phase === "copy" && current > 0 && begun(),
  });
  ended.catch(() => undefined);
  await Promise.race([streaming, ended]);
  return { ended };
}

/** Nothing of a failed backup lists or lies about, and the next one is good. */
async function leavesNothing(repository: Repository, url: string): Promise<void> {
  await expect(readCatalog(repository)).resolves.toMatchObject({ backups: [], unusable: [] });
  const left = await readdir(repository.location, { recursive: true });
  expect(left.filter((name) => /sealed|unfinished|keys\/./.test(name))).toEqual([]);
  const { label } = await createBackup({ url, repository });
  await expect(verifyBackup({ repository, label, depth: "deep" })).resolves.toMatchObject({ ok: true });
}

describe("on a primary and its standby", () => {
  let cluster: TestCluster<1>;

  beforeAll(async () => {
    cluster = await startCluster({ replicas: 1, initdbArguments: ["--wal-segsize=1"] });
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  test("a second backup of one server is refused, and does not hurt the first", async () => {
    const repository = await repositoryAt("same-server");
    const { url } = cluster.primary;
    const first = await slowBackup({ url, repository });
    await expect(createBackup({ url, repository })).rejects.toMatchObject({
      code: "BACKUP_IN_PROGRESS",
      retryable: true,
      hint: expect.stringContaining("Wait for it"),
    });
    await expect(first.ended).resolves.toMatchObject({ status: "complete" });
    await expect(verifyBackup({ repository, depth: "deep" })).resolves.toMatchObject({ ok: true, findings: [] });
  });

  test("backups of the primary and the standby that begin in one second get two names, and both are whole", async () => {
    const repository = await repositoryAt("same-second");
    const clock = clockAt("2026-11-21T03:00:00Z");
    const reports = await Promise.all(
      [cluster.primary, cluster.replicas[0]].map(({ url }) => createBackup({ url, repository, clock })),
    );
    expect(reports.map(({ label }) => label).sort()).toEqual(["20261121-030000F", "20261121-030001F"]);
    await expect(verifyBackup({ repository, depth: "deep" })).resolves.toMatchObject({ ok: true, findings: [] });
  });

  test("one that fails beside another takes nothing of it along", async () => {
    const repository = await repositoryAt("beside");
    const clock = clockAt("2026-11-21T03:00:00Z");
    const abort = new AbortController();
    const slow = await slowBackup({ url: cluster.primary.url, repository, clock, signal: abort.signal });
    const { label } = await createBackup({ url: cluster.replicas[0].url, repository, clock });
    abort.abort();
    await expect(slow.ended).rejects.toMatchObject({ code: "CORE_ABORTED" });
    expect((await listBackups(repository)).map((backup) => backup.label)).toEqual([label]);
    await expect(verifyBackup({ repository, depth: "deep" })).resolves.toMatchObject({ ok: true, findings: [] });
  });

  test("a clock that goes back makes no name twice, and retention keeps the backup taken last", async () => {
    const repository = await repositoryAt("clock");
    const { url } = cluster.primary;
    const times = ["2026-11-21T03:00:00Z", "2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z"];
    const labels: string[] = [];
    for (const time of times) labels.push((await createBackup({ url, repository, clock: clockAt(time) })).label);
    expect(labels).toEqual(["20261121-030000F", "20250101-000000F", "20250101-000001F"]);
    await verifyBackup({ repository });
    const catalog = await readCatalog(repository);
    expect(catalog.backups.map(({ label }) => label)).toEqual(labels.toReversed());
    const { keep } = planExpiration(catalog, { keepFull: 1 }, Date.now());
    expect(keep.map(({ label }) => label)).toEqual([labels[2]]);
    // The time a target is compared with is the server's, not this machine's.
    expect(Date.parse(catalog.backups[0]!.stoppedAt)).toBeGreaterThan(Date.parse("2026-01-01T00:00:00Z"));
  });

  test("a standby that is promoted during its backup ends it, and the next one works", async () => {
    const repository = await repositoryAt("promoted");
    const standby = cluster.replicas[0];
    const slow = await slowBackup({ url: standby.url, repository });
    await standby.promote();
    await expect(slow.ended).rejects.toMatchObject({
      code: "BACKUP_WAL_GAP",
      message: expect.stringContaining("promoted"),
      hint: expect.stringContaining("again"),
    });
    await leavesNothing(repository, standby.url);
  });
});

describe("on one server", () => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await startCluster({
      initdbArguments: ["--wal-segsize=1"],
      settings: { max_wal_size: "4MB", min_wal_size: "2MB" },
    });
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  test.each(["kill", "stop"] as const)(
    "a server lost to a %s during a backup is a lost connection, to be tried again",
    async (how) => {
      const repository = await repositoryAt(`lost-${how}`);
      const { url } = cluster.primary;
      const slow = await slowBackup({ url, repository });
      await (how === "kill" ? cluster.primary.kill() : cluster.primary.stop("immediate"));
      await expect(slow.ended).rejects.toMatchObject({ code: "BACKUP_CONNECTION", retryable: true });
      await cluster.primary.start();
      await leavesNothing(repository, url);
    },
  );

  test("a server that stops in the middle of its files is told after its bound", async () => {
    const repository = await repositoryAt("stalled");
    const { url } = cluster.primary;
    const client = await cluster.connect();
    const slow = await slowBackup({ url, repository, stallTimeoutMs: 1_500 });
    const { rows } = await client.query<{ pid: number }>("select pid from pg_stat_progress_basebackup");
    process.kill(rows[0]!.pid, "SIGSTOP");
    try {
      await expect(slow.ended).rejects.toMatchObject({
        code: "BACKUP_CONNECTION",
        message: expect.stringContaining("sent nothing for 1.5 s"),
        hint: expect.stringContaining("stallTimeoutMs"),
      });
    } finally {
      process.kill(rows[0]!.pid, "SIGCONT");
    }
    await expect.poll(async () => (await client.query("select from pg_stat_progress_basebackup")).rowCount).toBe(0);
    await client.end();
    await leavesNothing(repository, url);
  });

  test("a slot the server took away ends the backup at once, and nothing is stored", async () => {
    const repository = await repositoryAt("removed");
    const { url } = cluster.primary;
    const client = await cluster.connect();
    await client.query("alter system set max_slot_wal_keep_size = '1MB'");
    await client.query("select pg_reload_conf()");
    // The stream that would bring the WAL is held back as by a slow network: its sender is stopped.
    const slow = await slowBackup({ url, repository });
    const { rows } = await client.query<{ pid: number }>(
      "select active_pid as pid from pg_replication_slots where slot_name like 'db_backup_%'",
    );
    process.kill(rows[0]!.pid, "SIGSTOP");
    const writer = await cluster.connect();
    const stateSql =
      "select wal_status in ('lost', 'unreserved') as lost from pg_replication_slots where slot_name like 'db_backup_%'";
    let checkpointed: Promise<unknown> = Promise.resolve();
    try {
      for (let lost = false; !lost;) {
        await fillWal(client, 3_000_000);
        const { rows: slots } = await client.query<{ lost: boolean }>(stateSql);
        lost = slots[0]?.lost ?? true;
      }
      // Ends that sender, and waits for it to be gone.
      checkpointed = writer.query("checkpoint");
    } finally {
      process.kill(rows[0]!.pid, "SIGCONT");
    }
    await checkpointed;
    await writer.end();
    // As soon as the stream is lost, not at the end of the files. Some servers say why, some only close.
    await expect(slow.ended).rejects.toMatchObject({
      code: expect.stringMatching(/^BACKUP_(WAL_GAP|CONNECTION)$/),
      message: expect.stringContaining("WAL stream was lost"),
      hint: expect.stringContaining("max_slot_wal_keep_size"),
    });
    // The server notices that nobody listens when it sends the next time.
    const others = "select 1 from pg_stat_activity where application_name = 'db-backup'";
    await expect.poll(async () => (await client.query(others)).rowCount, { timeout: 20_000 }).toBe(0);
    await client.query("alter system reset max_slot_wal_keep_size");
    await client.query("select pg_reload_conf()");
    await client.end();
    await leavesNothing(repository, url);
  });

  test("a repository that holds two clusters asks which one is meant, and never mixes them", async () => {
    const repository = await repositoryAt("clusters");
    await using other = await startCluster();
    const mine = await createBackup({ url: cluster.primary.url, repository });
    const theirs = await createBackup({ url: other.primary.url, repository });
    const directory = join(scratch.path, "which");
    await expect(planRestore({ repository, directory })).rejects.toMatchObject({
      code: "BACKUP_INVALID_OPTIONS",
      message: expect.stringMatching(/backups of 2 clusters: .*newest/),
    });
    const { systemIdentifier } = mine;
    const plan = await planRestore({ repository, directory, systemIdentifier });
    expect(plan.backup.label).toBe(mine.label);
    expect((await planRestore({ repository, directory, label: theirs.label })).backup.systemIdentifier).not.toBe(
      systemIdentifier,
    );
    await restoreBackup({ repository, plan, durable: false });
    const wrong = { repository, directory, replace: true, label: theirs.label };
    await expect(planRestore(wrong)).rejects.toMatchObject({ code: "BACKUP_CLUSTER_CHANGED" });
    await expect(planRestore({ repository, directory: `${directory}-2`, systemIdentifier: "1" })).rejects.toMatchObject(
      {
        code: "BACKUP_NOT_FOUND",
      },
    );
  });
});
