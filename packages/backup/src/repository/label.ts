import { type Clock, isDbError } from "@db/core";
import { type Lease, takeLease } from "./lease.ts";
import type { Storage } from "./storage.ts";

/** A name nobody else writes under, until the lease ends. */
export interface ClaimedLabel {
  readonly label: string;
  readonly lease: Lease;
}

/**
 * Claims a name for what is about to be written: `20261110-030000F`, a second later when that one is taken. Two that
 * begin in the same second, from a primary and its standby, get two names.
 * @param taken names that are there already
 * @param prefixOf the folder of a name
 * @param now milliseconds since the epoch
 */
export async function claimLabel(
  storage: Storage,
  options: {
    readonly kind: "F" | "L";
    readonly taken: ReadonlySet<string>;
    readonly prefixOf: (label: string) => string;
    readonly now: number;
    readonly clock: Clock;
  },
): Promise<ClaimedLabel> {
  for (let at = options.now; ; at += 1_000) {
    const text = new Date(at).toISOString().replace(/[-:]/g, "");
    const label = `${text.slice(0, 8)}-${text.slice(9, 15)}${options.kind}`;
    if (options.taken.has(label)) continue;
    const lease = await leaseOf(storage, label, options.clock);
    if (!lease) continue;
    // Somebody may have begun and ended under it since the names were read.
    if (await isEmpty(storage, options.prefixOf(label))) return { label, lease };
    await lease.release();
  }
}

/** The lease of whoever writes under a name. */
export function writingLease(label: string): string {
  return `write-${label}`;
}

async function leaseOf(storage: Storage, label: string, clock: Clock): Promise<Lease | undefined> {
  try {
    return await takeLease(storage, writingLease(label), clock);
  } catch (error) {
    if (isDbError(error, "BACKUP_REPOSITORY_BUSY")) return undefined;
    throw error;
  }
}

async function isEmpty(storage: Storage, prefix: string): Promise<boolean> {
  for await (const _object of storage.list(prefix)) return false;
  return true;
}
