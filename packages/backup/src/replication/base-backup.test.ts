import { expect, test } from "vitest";
import { baseBackupCommand } from "./base-backup.ts";

const request = { label: "db it's", checkpoint: "fast" } as const;

test("speaks words to 12-14, without a manifest to 12", () => {
  expect(baseBackupCommand({ ...request, major: 12 })).toBe("BASE_BACKUP LABEL 'db it''s' PROGRESS FAST NOWAIT");
  expect(baseBackupCommand({ ...request, major: 14, maxRateBytes: 1_048_576 })).toBe(
    "BASE_BACKUP LABEL 'db it''s' PROGRESS FAST NOWAIT MAX_RATE 1024 MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'",
  );
});

test("speaks options to 15 and newer", () => {
  expect(baseBackupCommand({ ...request, major: 17, checkpoint: "spread" })).toBe(
    "BASE_BACKUP (LABEL 'db it''s', PROGRESS, CHECKPOINT 'spread', WAIT false, MANIFEST 'yes', " +
      "MANIFEST_CHECKSUMS 'CRC32C')",
  );
});
