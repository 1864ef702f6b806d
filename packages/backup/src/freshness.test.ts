import { expect, test } from "vitest";
import { evaluateBackups } from "./freshness.ts";
import type { BackupInfo } from "./manifest.ts";

const now = Date.UTC(2026, 10, 21);
const backup = (hoursAgo: number, more: Partial<BackupInfo> = {}): BackupInfo =>
  ({
    label: `h${hoursAgo}`,
    status: "complete",
    stoppedAt: new Date(now - hoursAgo * 3_600_000).toISOString(),
    verifiedAt: null,
    ...more,
  }) as BackupInfo;
const ids = (backups: BackupInfo[]): string[] => evaluateBackups(backups, {}, now).map(({ id }) => id);

test("says when there is no backup, or none that is fresh, verified or good", () => {
  expect(ids([])).toEqual(["BACKUP-NONE"]);
  expect(ids([backup(1)])).toEqual(["BACKUP-UNVERIFIED"]);
  expect(ids([backup(30, { verifiedAt: new Date(now).toISOString() })])).toEqual(["BACKUP-STALE"]);
  expect(evaluateBackups([backup(60)], {}, now)[0]).toMatchObject({ id: "BACKUP-STALE", severity: "critical" });
  expect(ids([backup(1, { status: "suspect" })])).toEqual(["BACKUP-NONE", "BACKUP-SUSPECT"]);
  expect(ids([backup(1), backup(2, { status: "suspect" })])).toEqual(["BACKUP-UNVERIFIED", "BACKUP-SUSPECT"]);
});
