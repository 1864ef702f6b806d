import type { RestorePlan } from "@db/orchestrator";
import { UsageError } from "./errors.ts";

type RecoveryTarget = RestorePlan["target"];

/**
 * Reads `--target`: `immediate`, `latest`, or a kind and a value, `time=2026-11-21T10:00:00Z`.
 * @param exclusive stops just before the target
 * @throws {UsageError} for any other form, and for more than one; the value itself is checked when the restore is planned
 */
export function parseTarget(given: readonly string[], exclusive: boolean): RecoveryTarget | undefined {
  if (given.length > 1) {
    throw new UsageError(`${given.length} targets are given: ${given.join(", ")}`, {
      hint: "Recovery stops at one of them: give the one you mean.",
    });
  }
  const target = given[0] === undefined ? undefined : parseOne(given[0]);
  if (!exclusive) return target;
  if (target?.type === "time" || target?.type === "lsn" || target?.type === "xid")
    return { ...target, inclusive: false };
  throw new UsageError("--exclusive needs a time, lsn or xid to stop before", { hint: "Give one with --target." });
}

function parseOne(text: string): RecoveryTarget {
  if (text === "immediate" || text === "latest") return { type: text };
  const [, kind, value] = /^(time|lsn|xid|name)=(.+)$/.exec(text) ?? [];
  if (value !== undefined) {
    if (kind === "time") return { type: "time", time: value };
    if (kind === "lsn") return { type: "lsn", lsn: value };
    if (kind === "xid") return { type: "xid", xid: value };
    if (kind === "name") return { type: "name", name: value };
  }
  throw new UsageError(`--target is "${text}"`, {
    hint: "Write immediate, latest, time=2026-11-21T10:00:00Z, lsn=0/3000060, xid=742 or name=before_release.",
  });
}
