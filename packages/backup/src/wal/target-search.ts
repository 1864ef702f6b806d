import type { Finding } from "@db/core";
import { TargetUnreachableError } from "../errors.ts";
import type { RecoveryTarget } from "../recovery-target.ts";
import type { Repository } from "../repository/repository.ts";
import { formatMicros, parseMicros } from "./moment.ts";
import { isNewer } from "./scanner.ts";
import { segmentFacts, type WalInventory } from "../wal-inventory.ts";

/** What the stored WAL says of a target before it is replayed. */
export interface TargetPrediction {
  /** How many segments recovery needs; Infinity when that is not known. */
  readonly segments: number;
  /** True when nothing ended after the time asked for, so that all WAL is needed and none too much. */
  readonly atEnd: boolean;
  readonly findings: readonly Finding[];
}

const unknown: TargetPrediction = { segments: Number.POSITIVE_INFINITY, atEnd: false, findings: [] };

/**
 * Looks for a time, a restore point or a transaction in the records of the stored WAL. What lies only in backups' folders
 * has no such records; there, and for a transaction that may be among others, replaying alone tells.
 * @throws {TargetUnreachableError} when all records are there and none has the target
 */
export async function predictTarget(
  repository: Repository,
  systemIdentifier: string,
  inventory: WalInventory,
  target: RecoveryTarget,
): Promise<TargetPrediction> {
  if (target.type === "xid") {
    const newest = await newestXid(repository, systemIdentifier, inventory);
    // The server too takes the lower 32 bits of a longer number.
    const xid = Number(BigInt(target.xid) & 0xffff_ffffn);
    if (newest === undefined || !isNewer(xid, newest)) return { ...unknown, findings: [unproven(target)] };
    throw new TargetUnreachableError(`transaction ${target.xid} is not in the stored WAL, whose newest is ${newest}`, {
      hint: "Choose an earlier target, or restore to latest.",
    });
  }
  if (target.type !== "time" && target.type !== "name") return unknown;
  const wanted = target.type === "time" ? formatMicros(parseMicros(target.time)) : target.name;
  const inclusive = target.type !== "time" || (target.inclusive ?? true);
  let complete = true;
  let index = 0;
  // A transaction's record that runs over a segment's end was not read; a later one tells that it was earlier.
  let hidden = false;
  for await (const record of segmentFacts(repository, systemIdentifier, inventory.segments)) {
    index++;
    if (!record) {
      complete = false;
      continue;
    }
    const found =
      target.type === "time"
        ? isBehind(record.lastTransactionAt, wanted, inclusive)
        : record.restorePoints.some(({ name }) => name === wanted);
    if (record.lastTransactionAt !== null) hidden = false;
    if (record.cut) hidden = true;
    if (record.cut) complete = false;
    // A record may run over into the next segment.
    if (found) return { segments: index + 1, atEnd: false, findings: [] };
  }
  if (target.type === "time" && !hidden && inventory.segments.at(-1)?.backup === null) {
    return { ...unknown, atEnd: true, findings: [atEnd(wanted)] };
  }
  if (target.type === "name" && complete) {
    throw new TargetUnreachableError(`restore point "${wanted}" is not in the stored WAL`, {
      hint: "Names are as given to pg_create_restore_point; it may lie after the end of the WAL or before the backup.",
    });
  }
  return { ...unknown, findings: [unproven(target)] };
}

/** The newest transaction in all of the WAL; undefined where a part of it does not tell. */
async function newestXid(
  repository: Repository,
  systemIdentifier: string,
  { segments }: WalInventory,
): Promise<number | undefined> {
  let newest: number | undefined;
  for await (const record of segmentFacts(repository, systemIdentifier, segments)) {
    if (record?.newestXid === undefined || record.cut) return undefined;
    if (record.newestXid !== null && (newest === undefined || isNewer(record.newestXid, newest))) {
      newest = record.newestXid;
    }
  }
  return newest;
}

/** Recovery stops at the first transaction after the time, or at it when that one shall not be replayed. */
function isBehind(at: string | null, wanted: string, inclusive: boolean): boolean {
  return at !== null && (inclusive ? at > wanted : at >= wanted);
}

function atEnd(time: string): Finding {
  return {
    id: "RESTORE-TARGET-AT-END",
    severity: "info",
    title: `no transaction ended after ${time}: all of the stored WAL is replayed`,
  };
}

function unproven(target: RecoveryTarget): Finding {
  return {
    id: "RESTORE-TARGET-UNPROVEN",
    severity: "info",
    title: `whether the stored WAL holds the ${target.type} target is known only when it is replayed`,
    hint: "The server refuses to start when it does not find it; then restore to an earlier target.",
  };
}
