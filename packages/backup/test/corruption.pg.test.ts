import { copyFile, cp, readdir, readFile, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createBackup, openRepository, planRestore, restoreBackup, verifyBackup } from "@db/backup";
import { startCluster } from "@db/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decodeRecord, encodeRecord } from "../src/repository/record.ts";
import { scratchDirectory } from "./restored-cluster.ts";

const encryptionKey = "ab".repeat(32);
let scratch: Awaited<ReturnType<typeof scratchDirectory>>;

beforeAll(async () => {
  scratch = await scratchDirectory();
  await using cluster = await startCluster();
  for (const key of [encryptionKey, undefined]) {
    const repository = await openRepository(place(key), { encryptionKey: key });
    await createBackup({ url: cluster.primary.url, repository });
    // The mark of a verification is an object like the others.
    await verifyBackup({ repository });
  }
});

afterAll(async () => {
  await scratch?.[Symbol.asyncDispose]();
});

function place(key: string | undefined): string {
  return join(scratch.path, key === undefined ? "plain" : "sealed");
}

/** mulberry32: the same damage in every run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

async function objectsOf(repository: string): Promise<string[]> {
  const names = await readdir(repository, { recursive: true, withFileTypes: true });
  return names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Damages one object in one of five ways, and undoes it afterwards. */
async function withDamage(objects: string[], random: (below: number) => number, use: (what: string) => Promise<void>) {
  const object = objects[random(objects.length)]!;
  const saved = join(scratch.path, "saved");
  await copyFile(object, saved);
  const { size } = await stat(object);
  const kind = ["flip", "flip", "truncate", "delete", "swap", "append"][random(6)]!;
  let other: string | undefined;
  if (kind === "flip") {
    const bytes = await readFile(object);
    bytes[random(size)]! ^= 1 << random(8);
    await writeFile(object, bytes);
  } else if (kind === "truncate") await truncate(object, random(size));
  else if (kind === "delete") await rm(object);
  else if (kind === "append") await writeFile(object, Buffer.from([random(256)]), { flag: "a" });
  else {
    other = objects.filter((candidate) => candidate !== object)[random(objects.length - 1)]!;
    await rename(object, `${object}.tmp`);
    await rename(other, object);
    await rename(`${object}.tmp`, other);
  }
  try {
    await use(`${kind} ${object.slice(scratch.path.length)}`);
  } finally {
    if (other !== undefined) await rename(object, other);
    await copyFile(saved, object);
  }
}

/** What verification says of a repository, opened anew. */
async function seesDamage(key: string | undefined): Promise<boolean> {
  try {
    const repository = await openRepository(place(key), { encryptionKey: key });
    const report = await verifyBackup({ repository, record: false });
    return report.findings.length > 0 || report.backups.length === 0;
  } catch (error) {
    return ["BACKUP_CORRUPT", "BACKUP_NOT_FOUND", "BACKUP_OBJECT_NOT_FOUND"].includes((error as { code: string }).code);
  }
}

for (const key of [encryptionKey, undefined]) {
  const kind = key === undefined ? "plain" : "encrypted";

  test(`verification finds every one of 100 random faults in the ${kind} repository`, async () => {
    const objects = await objectsOf(place(key));
    expect(await seesDamage(key)).toBe(false);
    const random = randomFrom(20261121);
    const undetected: string[] = [];
    for (let round = 0; round < 100; round++) {
      await withDamage(objects, random, async (what) => void ((await seesDamage(key)) || undetected.push(what)));
    }
    expect(undetected).toEqual([]);
    expect(await seesDamage(key)).toBe(false);
  });

  test.each([
    ["on the main thread", 0],
    ["by threads", 2],
  ])(
    `a restore from the ${kind} repository, %s, stops at every fault and leaves nothing to start`,
    async (_, workers) => {
      const objects = (await objectsOf(place(key))).filter(
        (name) => !/README|rescue|verified|server-manifest/.test(name),
      );
      const random = randomFrom(7);
      const directory = join(scratch.path, `restored-${kind}-${workers}`);
      for (let round = 0; round < 20; round++) {
        await withDamage(objects, random, async (what) => {
          const restore = async (): Promise<void> => {
            const repository = await openRepository(place(key), { encryptionKey: key });
            const plan = await planRestore({ repository, directory });
            await restoreBackup({ repository, plan, durable: false, workers });
          };
          const code = await restore().then(
            () => "restored",
            (error: { code?: string }) => error.code ?? "another error",
          );
          expect([what, code]).toEqual([what, expect.stringMatching(/^BACKUP_(CORRUPT|NOT_FOUND|OBJECT_NOT_FOUND)$/)]);
          await expect(readdir(directory).catch(() => [])).resolves.toEqual([]);
        });
      }
    },
  );
}

test("a record rewritten by somebody without the key is refused", async () => {
  const forged = join(scratch.path, "forged");
  await cp(place(encryptionKey), forged, { recursive: true });
  const path = (await objectsOf(forged)).find((name) => name.endsWith("manifest.json"))!;
  const { sha256: _, ...body } = decodeRecord<{ sha256: string; serverVersion: number }>(await readFile(path), path);
  await writeFile(path, encodeRecord({ ...body, stoppedAt: "2030-01-01T00:00:00.000Z" }));
  const repository = await openRepository(forged, { encryptionKey });
  await expect(verifyBackup({ repository })).resolves.toMatchObject({ ok: false });
  await expect(planRestore({ repository, directory: join(scratch.path, "never") })).rejects.toMatchObject({
    code: "BACKUP_CORRUPT",
    message: expect.stringContaining("not written with this repository's key"),
  });
});
