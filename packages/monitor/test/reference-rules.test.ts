import { defaultRules } from "@db/monitor";
import { expect, test } from "vitest";

/** The rules people who run PostgreSQL expect, by number and name of the list this follows, and ours for each. */
const expected: readonly (readonly [rule: string, ours: readonly string[]])[] = [
  ["1 down", ["PgDown"]],
  ["2 target absent", ["PgTargetAbsent"]],
  ["3 restarted", ["PgRestarted"]],
  ["4 role changed", ["PgRoleChanged"]],
  ["5 split brain", ["PgSplitBrain"]],
  ["6 connections high", ["PgConnections"]],
  ["7 connections exhausted", ["PgConnections"]],
  ["8 pool exhausted", ["PoolExhausted"]],
  ["9 pool wait slow", ["PoolWaitSlow"]],
  ["10 idle in transaction", ["PgIdleInTransaction"]],
  ["11 long transaction", ["PgLongTransaction"]],
  ["12 long query", ["PgLongQuery"]],
  ["13 lock wait", ["PgLockWait"]],
  ["14 blocked sessions", ["PgBlockedSessions"]],
  ["15 deadlocks", ["PgDeadlocks"]],
  ["16 too many locks", ["PgTooManyLocks"]],
  ["17 rollback ratio", ["PgRollbackRatio"]],
  ["18 fatal sessions", ["PgFatalSessions"]],
  ["19 checksum failure", ["PgChecksumFailure"]],
  ["20 xid age", ["PgXidAgeHigh", "PgXidAgeCritical"]],
  ["21 multixact age", ["PgMxidAgeHigh", "PgMxidAgeCritical"]],
  ["22 xmin horizon held", ["PgXminHorizonHeld"]],
  ["23 vacuum falling behind", ["PgVacuumFallingBehind"]],
  ["24 sequence nearly full", ["PgSequenceNearlyFull"]],
  ["25 replication lag", ["PgReplicationLag"]],
  ["26 standby disconnected", ["PgStandbyDisconnected"]],
  ["27 standby missing", ["PgStandbyMissing"]],
  ["28 slot inactive", ["PgSlotInactive"]],
  ["29 slot retains WAL", ["PgSlotRetainsWal", "PgSlotNearlyLost", "PgSlotLost"]],
  ["30 subscription", ["PgSubscriptionDown", "PgSubscriptionErrors"]],
  ["31 archive failing", ["PgArchiveFailing"]],
  ["32 archive backlog", ["PgArchiveBacklog"]],
  ["33 checkpoints requested", ["PgCheckpointsRequested"]],
  ["34 temporary files", ["PgTempFiles"]],
  ["35 statements evicted", ["PgStatementsEvicted"]],
  ["36 query regression", ["PgQueryRegression"]],
  ["37 invalid index", ["PgInvalidIndex"]],
  ["38 disk filling", ["PgDiskFilling", "PgStorageRunsOut"]],
  ["39 configuration", ["PgConfigChanged", "PgPendingRestart"]],
  ["40 collector", ["CollectorFailing", "CollectorStale"]],
  [
    "41 backups, migrations, data",
    [
      "BackupTooOld",
      "BackupVerifyFailed",
      "WalGap",
      "MigrationPending",
      "MigrationFailed",
      "MigrationLockHeld",
      "ValidationScoreDropped",
    ],
  ],
];

test("every rule that is expected is there", () => {
  const names = new Set(defaultRules.map(({ name }) => name));
  expect(expected).toHaveLength(41);
  expect(
    expected.flatMap(([rule, ours]) => ours.filter((name) => !names.has(name)).map((name) => [rule, name])),
  ).toEqual([]);
});

test("every rule has a finding of its own, a hint, and clears on the near side of its threshold", () => {
  expect(new Set(defaultRules.map(({ finding }) => finding)).size).toBe(defaultRules.length);
  for (const { name, hint, levels, fires } of defaultRules) {
    expect(hint, name).toMatch(/^[A-Z].*\.$/);
    for (const { threshold, clear = threshold } of levels) {
      expect(fires === "above" ? clear <= threshold : clear >= threshold, name).toBe(true);
    }
  }
});
