import { formatLsn, isDbError, parseLsn, walSegmentName } from "@db/core";
import { listBackups, openBackup, type OpenedBackup } from "./catalog.ts";
import { CorruptObjectError, TargetUnreachableError } from "./errors.ts";
import type { BackupInfo } from "./manifest.ts";
import { walName } from "./repository/layout.ts";
import type { Repository } from "./repository/repository.ts";
import { readSealed } from "./repository/sealed-object.ts";
import { WalArchive, type WalRecord } from "./wal/archive.ts";
import { listWal, type WalGap, type WalListing } from "./wal/listing.ts";
import { parseWalName, segmentStart } from "./wal/segment.ts";
import { parseTimelineHistory, timelinePath, type TimelineStretch, type TimelineSwitch } from "./wal/timeline.ts";

/** One WAL segment a restore needs, and where the repository has it. */
export interface PlannedSegment {
  readonly segment: string;
  /** The backup whose folder holds it; null when the WAL archive does. */
  readonly backup: string | null;
  /** The archive's name of it, when that is the tail of an unfinished segment. */
  readonly partial?: string;
}

/** The WAL from a backup's start as far as it goes without a gap. */
export interface WalInventory {
  readonly segments: readonly PlannedSegment[];
  /** The timeline it ends on. */
  readonly timeline: number;
  /** The stretches of timelines it runs over, the backup's first. */
  readonly path: readonly TimelineStretch[];
  /** Timelines whose history the repository has and recovery will read. */
  readonly histories: readonly number[];
  /** The first position that is not there any more. */
  readonly endLsn: string;
  /** When the server had certainly written everything up to there, ISO 8601. */
  readonly coveredUntil: string;
  /** Recorded losses of WAL on the way. */
  readonly gaps: readonly WalGap[];
}

/** Which timeline recovery follows: the newest that descends from the backup, the backup's own, or one by number. */
export type RecoveryTimeline = "latest" | "current" | number;

/** Where one segment is stored, and how much of it. */
interface Place extends PlannedSegment {
  readonly bytes: number;
  readonly stoppedAt: string | undefined;
}

/**
 * Follows the stored WAL from a backup's start through every segment the repository has, to the first gap.
 * @throws {TargetUnreachableError} when the timeline asked for does not descend from the backup
 */
export async function inventoryWal(
  repository: Repository,
  backup: OpenedBackup,
  timeline: RecoveryTimeline = "current",
): Promise<WalInventory> {
  const { manifest } = backup;
  const listing = await listWal(repository, manifest.systemIdentifier);
  const archive = new WalArchive(repository, manifest.systemIdentifier);
  const places = await placesOf(repository, backup, listing);
  const { path, histories } = await choosePath(archive, listing, backup, timeline);
  const size = BigInt(manifest.walSegmentBytes);
  const segments: PlannedSegment[] = [];
  let coveredUntil = manifest.stoppedAt;
  let reached = 0;
  let position = (parseLsn(manifest.startLsn) / size) * size;
  let end = position;
  for (;;) {
    const found = findPlace(places, path, position, manifest.walSegmentBytes);
    if (!found) break;
    const { place, stretch } = found;
    const { segment, backup: label, partial } = place;
    segments.push({ segment, backup: label, ...(partial === undefined ? {} : { partial }) });
    if (place.stoppedAt !== undefined && place.stoppedAt > coveredUntil) coveredUntil = place.stoppedAt;
    reached = Math.max(reached, path.indexOf(stretch));
    end = position + BigInt(place.bytes);
    // What an ancestor holds behind the fork is no part of this history.
    if (stretch.to !== null && end > stretch.to) end = stretch.to;
    position += size;
    if (end < position) break;
  }
  const archived = await archiveCoverage(archive, listing, segments, end);
  if (archived !== undefined && archived > coveredUntil) coveredUntil = archived;
  const start = parseLsn(manifest.startLsn);
  const gaps = listing.gaps.filter(({ fromLsn }) => parseLsn(fromLsn) >= start);
  return {
    segments,
    timeline: path[reached]?.timeline ?? manifest.timeline,
    path: path.slice(0, reached + 1),
    histories,
    endLsn: formatLsn(end),
    coveredUntil,
    gaps,
  };
}

/** Every place of every segment: a whole one before a tail, a longer tail before a shorter one. */
async function placesOf(
  repository: Repository,
  backup: OpenedBackup,
  listing: WalListing,
): Promise<ReadonlyMap<string, Place>> {
  const { manifest } = backup;
  const size = manifest.walSegmentBytes;
  const places = new Map<string, Place>();
  const offer = (place: Place): void => {
    const known = places.get(place.segment);
    if (!known || known.bytes < place.bytes) places.set(place.segment, place);
    // Of two whole ones the archive's, whose record says what is in it.
    else if (known.bytes === place.bytes && place.backup === null) {
      places.set(place.segment, { ...place, stoppedAt: known.stoppedAt });
    }
  };
  for (const info of await listBackups(repository)) {
    if (info.systemIdentifier !== manifest.systemIdentifier) continue;
    const other = info.label === manifest.label ? backup : await openOther(repository, info);
    if (!other) continue;
    const stop = parseLsn(info.stopLsn);
    for (const { segment, padded } of other.manifest.wal) {
      // A padded segment holds at least what its backup needed.
      const bytes = padded ? Number(stop - segmentStart(segment, size)) : size;
      offer({ segment, backup: info.label, bytes, stoppedAt: info.stoppedAt });
    }
  }
  for (const segment of listing.segments) offer({ segment, backup: null, bytes: size, stoppedAt: undefined });
  for (const [segment, tails] of listing.partials) {
    const partial = tails.at(-1)!;
    const bytes = parseWalName(partial)?.partialBytes ?? 0;
    offer({ segment, backup: null, partial, bytes, stoppedAt: undefined });
  }
  return places;
}

const unusableCodes = ["BACKUP_CORRUPT", "BACKUP_NOT_FOUND", "BACKUP_WRONG_KEY", "BACKUP_UNSAFE_PATH"] as const;

/** A damaged backup's WAL is not counted on; the backup that is restored does not suffer from it. */
async function openOther(repository: Repository, info: BackupInfo): Promise<OpenedBackup | undefined> {
  try {
    return await openBackup(repository, info);
  } catch (error) {
    if (unusableCodes.some((code) => isDbError(error, code))) return undefined;
    throw error;
  }
}

/** A segment with a fork in it is on both timelines; the newer one holds all of it. */
function findPlace(
  places: ReadonlyMap<string, Place>,
  path: readonly TimelineStretch[],
  position: bigint,
  segmentBytes: number,
): { readonly place: Place; readonly stretch: TimelineStretch } | undefined {
  const end = position + BigInt(segmentBytes);
  for (const stretch of path.toReversed()) {
    // The first is the backup's own: its WAL begins before the position from which the way is counted, its end.
    if ((stretch !== path[0] && stretch.from >= end) || (stretch.to !== null && stretch.to <= position)) continue;
    const place = places.get(walSegmentName(stretch.timeline, position, segmentBytes));
    if (place) return { place, stretch };
  }
  return undefined;
}

async function choosePath(
  archive: WalArchive,
  listing: WalListing,
  backup: OpenedBackup,
  wanted: RecoveryTimeline,
): Promise<{ readonly path: readonly TimelineStretch[]; readonly histories: readonly number[] }> {
  const { manifest } = backup;
  const from = { timeline: manifest.timeline, lsn: parseLsn(manifest.stopLsn) };
  const own = [{ timeline: manifest.timeline, from: from.lsn, to: null }];
  const stored = (timeline: number, history: readonly TimelineSwitch[]): number[] =>
    [...history.map((ancestor) => ancestor.timeline), timeline].filter((t) => listing.histories.includes(t));
  const wayTo = async (timeline: number): Promise<ReturnType<typeof choosePath> | undefined> => {
    if (timeline === from.timeline) return { path: own, histories: stored(timeline, []) };
    if (!listing.histories.includes(timeline)) return undefined;
    const name = `${timeline.toString(16).toUpperCase().padStart(8, "0")}.history`;
    const history = parseTimelineHistory(await archive.readText(name));
    const path = timelinePath(from, timeline, history);
    return path && { path, histories: stored(timeline, history) };
  };
  if (wanted === "current") return (await wayTo(from.timeline))!;
  if (wanted === "latest") {
    for (const timeline of listing.histories.toSorted((a, b) => b - a)) {
      if (timeline < from.timeline) break;
      const way = await wayTo(timeline);
      if (way) return way;
    }
    return (await wayTo(from.timeline))!;
  }
  const way = await wayTo(wanted);
  if (way) return way;
  throw new TargetUnreachableError(
    `timeline ${wanted} does not lead on from backup ${manifest.label} (timeline ${from.timeline}, ${manifest.stopLsn})`,
    { hint: "Choose a backup taken before the fork, or on that timeline; see db wal status." },
  );
}

/** When the archive's end was written: what the receiver knew of it, else the last transaction in it. */
async function archiveCoverage(
  archive: WalArchive,
  listing: WalListing,
  segments: readonly PlannedSegment[],
  end: bigint,
): Promise<string | undefined> {
  const { position } = listing;
  if (position && parseLsn(position.lsn) <= end) return position.coveredUntil;
  for (const planned of segments.toReversed().slice(0, 32)) {
    if (planned.backup !== null) return undefined;
    const { lastTransactionAt } = await archive.recordOrLonger(planned.partial ?? planned.segment);
    if (lastTransactionAt !== null) return lastTransactionAt;
  }
  return undefined;
}

/** What the records of archived segments say, in order; undefined for those that lie in a backup. */
export async function* segmentFacts(
  repository: Repository,
  systemIdentifier: string,
  segments: readonly PlannedSegment[],
): AsyncGenerator<WalRecord | undefined> {
  const archive = new WalArchive(repository, systemIdentifier);
  for (const { segment, partial, backup } of segments) {
    yield backup === null ? await archive.recordOrLonger(partial ?? segment) : undefined;
  }
}

/** Reads one stored segment. @throws {CorruptObjectError} */
export async function* readWalSegment(
  repository: Repository,
  backup: OpenedBackup,
  segment: string,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  const name = walName(segment);
  const object = backup.manifest.objects.find((candidate) => candidate.name === name);
  if (!object) throw new CorruptObjectError(backup.prefix + name, "is not in the backup's record");
  const options = { dataKey: backup.dataKey?.bytes, expectedSha256: object.sha256, signal };
  let length = 0;
  for await (const chunk of readSealed(repository.storage, backup.prefix + name, options)) {
    length += chunk.length;
    yield chunk;
  }
  if (length !== backup.manifest.walSegmentBytes) {
    throw new CorruptObjectError(backup.prefix + name, "is no whole WAL segment");
  }
}

/**
 * Reads one segment of the archive, a tail filled up with zeros. A tail that was replaced since it was planned is read
 * from what took its place, as far as the plan goes and no further.
 * @throws {CorruptObjectError}
 */
export async function* readArchivedSegment(
  archive: WalArchive,
  { segment, partial }: PlannedSegment,
  segmentBytes: number,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  const wanted = partial === undefined ? segmentBytes : (parseWalName(partial)?.partialBytes ?? 0);
  let length = 0;
  while (length < wanted) {
    const record = await archive.recordOrLonger(partial ?? segment);
    try {
      for await (const chunk of archive.read(record, signal)) {
        const part = chunk.subarray(0, wanted - length);
        length += part.length;
        if (part.length > 0) yield part;
      }
      break;
    } catch (error) {
      // Gone between its record and its content: the receiver replaced it once more.
      if (partial === undefined || length > 0 || (await archive.find(record.name))) throw error;
    }
  }
  if (length !== wanted) throw new CorruptObjectError(segment, "is no whole WAL segment");
  const zeros = Buffer.alloc(256 * 1024);
  for (let left = segmentBytes - length; left > 0; left -= zeros.length) {
    yield zeros.subarray(0, Math.min(left, zeros.length));
  }
}
