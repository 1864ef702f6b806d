import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createBackup, openRepository, planExpiration, readCatalog, expireBackups, verifyBackup } from "@db/backup";
import { systemClock } from "@db/core";
import { startCluster, type TestCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { scratchDirectory } from "./restored-cluster.ts";

const encryptionKey = "correct horse battery staple";
let cluster: TestCluster;
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;

beforeAll(async () => {
  cluster = await startCluster();
  scratch = await scratchDirectory();
});

afterAll(async () => {
  await cluster?.stop();
  await scratch?.[Symbol.asyncDispose]();
});

/** Kills a backup in a process of its own once it has copied so much. */
async function killAt(bytes: number, location: string): Promise<void> {
  const script = join(import.meta.dirname, "killed-backup.ts");
  const args = ["--conditions=@db/source", script, cluster.primary.url, location, encryptionKey];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  let text = "";
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    text += chunk.toString();
    const copied = Math.max(...Array.from(text.matchAll(/copy (\d+)/g), ([, n]) => Number(n)));
    if (copied >= bytes || text.includes("wal ")) break;
  }
  child.kill("SIGKILL");
  await ended;
}

test("kill -9 anywhere in a backup leaves nothing that lists as good, and the next one works", async () => {
  const location = join(scratch.path, "killed");
  const repository = await openRepository(location, { encryptionKey });
  for (const bytes of [0, 8_000_000, Number.POSITIVE_INFINITY]) await killAt(bytes, location);
  const { backups, unusable } = await readCatalog(repository);
  // The one killed last may have come to its end before the signal did; then it is good.
  await expect(verifyBackup({ repository, depth: "listing" })).resolves.toMatchObject({ ok: true });
  expect(backups.length + unusable.length).toBeGreaterThan(0);
  const later = await openRepository(location, { encryptionKey });
  const report = await createBackup({ url: cluster.primary.url, repository: later });
  await expect(verifyBackup({ repository: later, label: report.label, depth: "deep" })).resolves.toMatchObject({
    ok: true,
  });
});

test("what killed backups left is removed once it is given up, and the good ones stay", async () => {
  const repository = await openRepository(join(scratch.path, "killed"), { encryptionKey });
  const before = await readCatalog(repository);
  const now = Date.now();
  expect(planExpiration(before, {}, now).incomplete).toEqual([]);
  const plan = planExpiration(before, { incompleteAfterMs: 0 }, now + 1_000);
  expect(plan.incomplete).toHaveLength(before.unusable.length);
  // The last one may still be written, as far as anybody can see: its lease has not ended.
  const early = await expireBackups({ repository, plan });
  for (const { reason } of early.skipped) expect(reason).toBe("being written");
  const clock = { ...systemClock, now: () => Date.now() + 3_600_000 };
  const again = planExpiration(await readCatalog(repository), { incompleteAfterMs: 0 }, clock.now());
  await expireBackups({ repository, plan: again, clock });
  const after = await readCatalog(repository);
  expect(after.unusable).toEqual([]);
  expect(after.backups).toEqual(before.backups);
});

test("a server that goes away in the middle is a connection error that can be tried again", async () => {
  const repository = await openRepository(join(scratch.path, "server-gone"));
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const running = createBackup({
    url: cluster.primary.url,
    repository,
    maxRateBytes: 1024 * 1024,
    onProgress: () => resolve(),
  });
  const failed = expect(running).rejects.toMatchObject({ code: "BACKUP_CONNECTION", retryable: true });
  await begun;
  await cluster.primary.kill();
  await failed;
  await expect(readCatalog(repository)).resolves.toEqual({ backups: [], unusable: [] });
  await cluster.primary.start();
});
