import type { RestorePlan } from "@db/orchestrator";
import { UsageError } from "./errors.ts";

type RecoveryTarget = RestorePlan["target"];

/**
 * Reads `--target`: `immediate`, `latest`, or a kind and a value, `time=2026-11-21T10:00:00Z`.
 * @throws {UsageError} for any other form; the value itself is checked when the restore is planned
 */
export function parseTarget(text: string | undefined): RecoveryTarget | undefined {
  if (text === undefined) return undefined;
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
