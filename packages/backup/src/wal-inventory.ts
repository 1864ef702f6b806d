import { formatLsn, parseLsn, walSegmentName } from "@db/core";
import { listBackups, openBackup, type OpenedBackup } from "./catalog.ts";
import { CorruptObjectError } from "./errors.ts";
import { walName } from "./repository/layout.ts";
import type { Repository } from "./repository/repository.ts";
import { readSealed } from "./repository/sealed-object.ts";

/** One WAL segment a restore needs, and where the repository has it. */
export interface PlannedSegment {
  readonly segment: string;
  /** The backup whose folder holds it. */
  readonly backup: string;
}

/** The WAL from a backup's start as far as it goes without a gap. */
export interface WalInventory {
  readonly segments: readonly PlannedSegment[];
  /** The first position that is not there any more. */
  readonly endLsn: string;
  /** When the server had certainly written everything up to there, ISO 8601. */
  readonly coveredUntil: string;
}

/** Follows the stored WAL from a backup's start through every segment the repository has, to the first gap. */
export async function inventoryWal(repository: Repository, backup: OpenedBackup): Promise<WalInventory> {
  const { manifest } = backup;
  const where = new Map<string, { readonly backup: string; readonly padded: boolean; readonly stoppedAt: string }>();
  for (const info of await listBackups(repository)) {
    if (info.systemIdentifier !== manifest.systemIdentifier || info.timeline !== manifest.timeline) continue;
    const other = info.label === manifest.label ? backup : await openBackup(repository, info);
    for (const { segment, padded } of other.manifest.wal) {
      const known = where.get(segment);
      // A padded segment ends early; a whole one of the same name holds more.
      if (known && (!known.padded || padded)) continue;
      where.set(segment, { backup: info.label, padded, stoppedAt: info.stoppedAt });
    }
  }
  const size = BigInt(manifest.walSegmentBytes);
  const segments: PlannedSegment[] = [];
  let coveredUntil = manifest.stoppedAt;
  let position = (parseLsn(manifest.startLsn) / size) * size;
  for (;;) {
    const segment = walSegmentName(manifest.timeline, position, manifest.walSegmentBytes);
    const found = where.get(segment);
    if (!found) break;
    segments.push({ segment, backup: found.backup });
    if (found.stoppedAt > coveredUntil) coveredUntil = found.stoppedAt;
    position += size;
    if (found.padded) break;
  }
  return { segments, endLsn: formatLsn(position), coveredUntil };
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
