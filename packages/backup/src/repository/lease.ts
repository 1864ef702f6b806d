import { randomBytes } from "node:crypto";
import { type Clock, isDbError } from "@db/core";
import { RepositoryBusyError } from "../errors.ts";
import { decodeRecord, encodeRecord } from "./record.ts";
import { readObject, type Storage, writeObject } from "./storage.ts";

/** How long a lease lives without being renewed, milliseconds: longer than a machine stalls, shorter than a night. */
const leaseMs = 10 * 60_000;

interface LeaseRecord {
  readonly purpose: string;
  readonly holder: string;
  /** ISO 8601. */
  readonly expiresAt: string;
}

/** A claim others respect, renewed while it is held. */
export interface Lease extends AsyncDisposable {
  release(): Promise<void>;
}

/**
 * Claims a purpose for itself alone: `expire`. One left by a process that died ends by itself.
 * @throws {RepositoryBusyError}
 */
export async function takeLease(storage: Storage, purpose: string, clock: Clock): Promise<Lease> {
  const key = `leases/${purpose}.json`;
  const holder = randomBytes(8).toString("hex");
  const found = await readLease(storage, key);
  if (found && Date.parse(found.expiresAt) > clock.now()) {
    throw new RepositoryBusyError(`somebody else does "${purpose}" in ${storage.location} until ${found.expiresAt}`, {
      hint: `Wait for it, or, if it died, remove ${key}.`,
    });
  }
  if (found) await storage.remove(key);
  try {
    await writeObject(storage, key, encodeRecord(leaseOf(purpose, holder, clock)));
  } catch (error) {
    if (!isDbError(error, "BACKUP_OBJECT_EXISTS")) throw error;
    throw new RepositoryBusyError(`somebody else began "${purpose}" in ${storage.location} just now`, {
      hint: "Try again when it is done.",
    });
  }
  return hold(storage, key, purpose, holder, clock);
}

/** Says that a backup is being read, so that nobody removes it meanwhile. Any number may hold one. */
export async function shareLease(storage: Storage, label: string, clock: Clock): Promise<Lease> {
  const holder = randomBytes(8).toString("hex");
  const key = `leases/read-${label}/${holder}.json`;
  await writeObject(storage, key, encodeRecord(leaseOf(`read ${label}`, holder, clock)));
  return hold(storage, key, `read ${label}`, holder, clock);
}

/** True while somebody holds a claim for himself alone. */
export async function isTaken(storage: Storage, purpose: string, clock: Clock): Promise<boolean> {
  const lease = await readLease(storage, `leases/${purpose}.json`);
  return lease !== undefined && Date.parse(lease.expiresAt) > clock.now();
}

/** True while somebody reads a backup. Leases that ended are swept. */
export async function isRead(storage: Storage, label: string, clock: Clock): Promise<boolean> {
  let read = false;
  for await (const { key } of storage.list(`leases/read-${label}/`)) {
    const lease = await readLease(storage, key);
    if (lease && Date.parse(lease.expiresAt) > clock.now()) read = true;
    else await storage.remove(key);
  }
  return read;
}

function hold(storage: Storage, key: string, purpose: string, holder: string, clock: Clock): Lease {
  let released = false;
  const renew = async (): Promise<void> => {
    const found = await readLease(storage, key);
    if (released || found?.holder !== holder) return;
    await writeObject(storage, key, encodeRecord(leaseOf(purpose, holder, clock)), { ifAbsent: false });
  };
  let renewing: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    // A renewal that fails is tried again by the next one, long before the lease ends.
    renewing = renew().catch(() => undefined);
  }, leaseMs / 5);
  timer.unref();
  const release = async (): Promise<void> => {
    if (released) return;
    released = true;
    clearInterval(timer);
    await renewing;
    if ((await readLease(storage, key).catch(() => undefined))?.holder === holder) await storage.remove(key);
  };
  return { release, [Symbol.asyncDispose]: release };
}

function leaseOf(purpose: string, holder: string, clock: Clock): LeaseRecord {
  return { purpose, holder, expiresAt: new Date(clock.now() + leaseMs).toISOString() };
}

async function readLease(storage: Storage, key: string): Promise<LeaseRecord | undefined> {
  try {
    return decodeRecord<LeaseRecord>(await readObject(storage, key), key);
  } catch (error) {
    if (isDbError(error, "BACKUP_OBJECT_NOT_FOUND") || isDbError(error, "BACKUP_CORRUPT")) return undefined;
    throw error;
  }
}
