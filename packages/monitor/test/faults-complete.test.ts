import { readdir, readFile } from "node:fs/promises";
import { defaultRules } from "@db/monitor";
import { expect, test } from "vitest";

/** Where the others are caused, or why they cannot be here. */
const elsewhere: Readonly<Record<string, string>> = {
  PgRoleChanged: "versions.deep.test.ts promotes a standby of every version",
  PgSplitBrain: "versions.deep.test.ts leaves two primaries",
  PgTargetAbsent: "seen by who scrapes the monitor, after minutes: promtool, rule-cases.ts",
  PgDiskFilling: "a disk cannot be filled without harm: rule-cases.ts",
  PgStorageRunsOut: "a disk cannot be filled without harm: capacity.test.ts, rule-cases.ts",
  PoolWaitSlow: "the pool's own histogram, rule-cases.ts",
  BackupTooOld: "reported by @db/backup: rule-cases.ts",
  BackupFailed: "reported by @db/backup: rule-cases.ts",
  BackupSuspect: "reported by @db/backup: rule-cases.ts",
  BackupVerifyFailed: "reported by @db/backup: rule-cases.ts",
  WalGap: "reported by @db/backup: rule-cases.ts",
  MigrationPending: "reported by @db/migrate: rule-cases.ts",
  MigrationFailed: "reported by @db/migrate: rule-cases.ts",
  MigrationLockHeld: "reported by @db/migrate: rule-cases.ts",
  ValidationScoreDropped: "reported by @db/validate: rule-cases.ts",
};

test("every rule is tried on a real cluster, or said where else", async () => {
  const files = (await readdir(import.meta.dirname)).filter((name) => /^faults-.*\.deep\.test\.ts$/.test(name));
  const texts = await Promise.all(files.map((name) => readFile(`${import.meta.dirname}/${name}`, "utf8")));
  const names = defaultRules.map(({ name }) => name);
  const tried = new Set(names.filter((name) => texts.some((text) => text.includes(`"${name}"`))));
  expect(names.filter((name) => !tried.has(name) && !(name in elsewhere))).toEqual([]);
  expect(Object.keys(elsewhere).filter((name) => tried.has(name) || !names.includes(name))).toEqual([]);
});
