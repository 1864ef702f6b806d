import { expect, test } from "vitest";
import { checkRecoveryTarget, recoverySettings, type RecoveryTarget, renderSettings } from "./recovery-target.ts";

test.each<[RecoveryTarget, string]>([
  [{ type: "time", time: "2026-11-10 03:00:00" }, "BACKUP_INVALID_TARGET"],
  [{ type: "time", time: "yesterday Z" }, "BACKUP_INVALID_TARGET"],
  [{ type: "xid", xid: "12; drop table x" }, "BACKUP_INVALID_TARGET"],
  [{ type: "name", name: "" }, "BACKUP_INVALID_TARGET"],
  [{ type: "lsn", lsn: "nowhere" }, "CORE_INVALID_LSN"],
])("refuses %j", (target, code) => {
  expect(() => checkRecoveryTarget(target)).toThrow(expect.objectContaining({ code }));
});

test("writes a time with its zone, and exactly one target", () => {
  const settings = recoverySettings({ type: "time", time: "2026-11-10T03:00:00+02:00", inclusive: false }, 3, "pause");
  expect(settings).toEqual({
    restore_command: "exit 1",
    recovery_target_timeline: "3",
    recovery_target_action: "pause",
    recovery_target_time: "2026-11-10 01:00:00.000000+00",
    recovery_target_inclusive: "off",
  });
});

test("quotes a setting so that the server reads it back as it was", () => {
  expect(renderSettings({ recovery_target_name: "it's a \\ name" })).toBe(
    "recovery_target_name = 'it''s a \\\\ name'\n",
  );
});
