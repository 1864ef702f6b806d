import { isDbError } from "@db/core";
import { walGapsPrefix, walPositionKey, walPrefix, parseWalRecordKey } from "../repository/layout.ts";
import { encodeRecord } from "../repository/record.ts";
import { readRecord, type Repository } from "../repository/repository.ts";
import { writeObject } from "../repository/storage.ts";
import { parseWalName } from "./segment.ts";

/** WAL that was never stored: no recovery passes over it. */
export interface WalGap {
  readonly timeline: number;
  /** The first position that is missing. */
  readonly fromLsn: string;
  /** The timeline and position where WAL goes on. */
  readonly toTimeline: number;
  readonly toLsn: string;
  readonly detectedAt: string;
  readonly reason: string;
}

/** What a receiver last knew. */
export interface WalPosition {
  readonly timeline: number;
  /** Everything before it is in the repository. */
  readonly lsn: string;
  /** Everything committed before this moment of the server's clock is in the repository. */
  readonly coveredUntil: string;
}

/** The names in a cluster's WAL archive. */
export interface WalListing {
  readonly systemIdentifier: string;
  readonly segments: ReadonlySet<string>;
  /** The tails of segments that are not whole, by segment: their names, longest last. */
  readonly partials: ReadonlyMap<string, readonly string[]>;
  /** Timelines whose history is stored. */
  readonly histories: readonly number[];
  readonly labels: readonly string[];
  readonly gaps: readonly WalGap[];
  readonly position: WalPosition | undefined;
  /** Records that only tell of the archive and cannot be read: no recovery needs them. */
  readonly damaged: readonly string[];
  /** Bytes of everything under the archive. */
  readonly storedBytes: number;
  /** Objects no record names, with the age that tells a running write from a dead one. */
  readonly objects: ReadonlyMap<string, { readonly sizeBytes: number; readonly modifiedAt: number }>;
}

/** Lists a cluster's WAL archive by its names alone; needs no key. */
export async function listWal(
  repository: Repository,
  systemIdentifier: string,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<WalListing> {
  const { storage } = repository;
  const segments = new Set<string>();
  const partials = new Map<string, string[]>();
  const histories: number[] = [];
  const labels: string[] = [];
  const gaps: WalGap[] = [];
  const objects = new Map<string, { sizeBytes: number; modifiedAt: number }>();
  const damaged: string[] = [];
  const told = async <T extends object>(key: string, is: (record: Partial<T>) => boolean): Promise<T | undefined> => {
    const record = await readRecord<T>(storage, key).catch((error: unknown) => {
      if (!isDbError(error, "BACKUP_CORRUPT")) throw error;
      return undefined;
    });
    if (record && is(record)) return record;
    damaged.push(key);
    return undefined;
  };
  let position: WalPosition | undefined;
  let storedBytes = 0;
  for await (const { key, sizeBytes, modifiedAt } of storage.list(walPrefix(systemIdentifier), options)) {
    storedBytes += sizeBytes;
    if (key === walPositionKey(systemIdentifier)) position = await told(key, isPosition);
    else if (key.startsWith(walGapsPrefix(systemIdentifier))) {
      const gap = await told(key, isGap);
      if (gap) gaps.push(gap);
    }
    const name = parseWalRecordKey(key)?.name;
    const parsed = name === undefined ? undefined : parseWalName(name);
    if (!name || !parsed) {
      if (key.endsWith(".sealed")) objects.set(key, { sizeBytes, modifiedAt });
    } else if (parsed.kind === "segment") segments.add(name);
    else if (parsed.kind === "history") histories.push(parsed.timeline);
    else if (parsed.kind === "label") labels.push(name);
    else if (parsed.partialBytes !== undefined) {
      const tails = partials.get(parsed.segment) ?? [];
      partials.set(parsed.segment, [...tails, name].sort());
    }
  }
  return { systemIdentifier, segments, partials, histories, labels, gaps, position, damaged, storedBytes, objects };
}

// Another record under this name has its own checksum right.
function isPosition({ lsn, coveredUntil }: Partial<WalPosition>): boolean {
  return isLsn(lsn) && !Number.isNaN(Date.parse(String(coveredUntil)));
}

function isGap({ fromLsn, toLsn }: Partial<WalGap>): boolean {
  return isLsn(fromLsn) && isLsn(toLsn);
}

function isLsn(value: unknown): boolean {
  return typeof value === "string" && /^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/i.test(value);
}

/** Notes WAL that is lost for good. */
export async function recordGap(repository: Repository, systemIdentifier: string, gap: WalGap): Promise<void> {
  const name = `${gap.detectedAt.replace(/[-:.]/g, "")}-${gap.fromLsn.replace("/", "-")}.json`;
  const key = walGapsPrefix(systemIdentifier) + name;
  await writeObject(repository.storage, key, encodeRecord(gap), { ifAbsent: false });
}

/** Notes how far the archive reaches. */
export async function recordPosition(
  repository: Repository,
  systemIdentifier: string,
  position: WalPosition,
): Promise<void> {
  const key = walPositionKey(systemIdentifier);
  await writeObject(repository.storage, key, encodeRecord(position), { ifAbsent: false });
}
