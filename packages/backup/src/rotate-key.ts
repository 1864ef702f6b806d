import { MissingKeyError } from "./errors.ts";
import { type JobOptions, resolveJobOptions } from "./options.ts";
import { takeLease } from "./repository/lease.ts";
import { encodeRecord } from "./repository/record.ts";
import type { Repository } from "./repository/repository.ts";
import { writeObject } from "./repository/storage.ts";

/** What to rotate. */
export interface RotateKeyOptions extends JobOptions {
  /** Opened with the present key. It stays usable, with the new one. */
  readonly repository: Repository;
  /** As for `openRepository`. */
  readonly newEncryptionKey: string | Uint8Array;
}

/** What rotation did. */
export interface RotateKeyReport {
  readonly oldKeyId: string;
  readonly newKeyId: string;
  /** Data keys wrapped anew. */
  readonly dataKeys: number;
}

/**
 * Gives an encrypted repository another key: every data key is wrapped anew, no backup is touched. Cut short at any
 * moment, the repository opens with the old key or the new one, never with neither; running it again ends it.
 *
 * Stop receivers and backups first, and give them the new key: one that goes on with the old key writes what only the
 * old key opens, until the rotation is run once more.
 * @throws {MissingKeyError} @throws {InvalidKeyError} @throws {RepositoryBusyError}
 */
export async function rotateKey(options: RotateKeyOptions): Promise<RotateKeyReport> {
  const { repository } = options;
  const job = resolveJobOptions(options);
  await repository.refresh();
  repository.requireKey();
  if (!repository.identity?.encryption) {
    throw new MissingKeyError(`the repository ${repository.location} is not encrypted`, {
      hint: "Begin a new repository for encrypted backups; the two never mix.",
    });
  }
  await using _lease = await takeLease(repository.storage, "rotate-key", job.clock);
  const report = await repository.rewrapKeys(options.newEncryptionKey, (current, total) =>
    job.onProgress({ phase: "rotate-key", current, total, unit: "steps" }),
  );
  const at = new Date(job.clock.now()).toISOString();
  const key = `journal/${at.replace(/[-:.]/g, "")}-rotate-key.json`;
  await writeObject(repository.storage, key, encodeRecord({ action: "rotate-key", at, ...report }), {
    ifAbsent: false,
  });
  job.logger.info({ ...report }, "repository key rotated");
  return report;
}
