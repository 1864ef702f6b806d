import { parseLsn } from "@db/core";
import type { OpenedBackup } from "./catalog.ts";
import type { BackupManifest, FileEntry } from "./manifest.ts";
import { firstBlockOf, PageCheck, pageChecksumAvailable } from "./page-checksum.ts";
import type { ServerConfiguration } from "./replication/server.ts";
import { configurationName } from "./repository/layout.ts";
import type { Repository } from "./repository/repository.ts";
import { type FileSink, readBackupObject } from "./stored-files.ts";

/** Looks at the pages of a backup's files as they are read; keeps nothing of them. */
export class PageSurvey {
  readonly #blockBytes: number;
  readonly #startLsn: bigint;
  readonly #looks: boolean;
  /** Files with broken pages, and the numbers of those in their relation. */
  readonly broken: { readonly path: string; readonly blocks: readonly number[] }[] = [];

  constructor({ pageChecksums, startLsn }: BackupManifest, blockBytes: number) {
    this.#blockBytes = blockBytes;
    this.#startLsn = parseLsn(startLsn);
    this.#looks = pageChecksums && pageChecksumAvailable;
  }

  open({ path, sizeBytes }: FileEntry): FileSink {
    const first = this.#looks ? firstBlockOf(path, this.#blockBytes) : undefined;
    // A file that is no multiple of pages was being extended; the server leaves it out as well.
    const check =
      first === undefined || sizeBytes % this.#blockBytes !== 0
        ? undefined
        : new PageCheck(first, this.#blockBytes, this.#startLsn);
    return {
      write: async (chunk) => check?.write(chunk),
      end: async () => {
        if (check && check.broken.length > 0) this.broken.push({ path, blocks: check.broken });
      },
      abort: async () => undefined,
    };
  }
}

/** The size of the cluster's pages. */
export async function blockBytesOf(
  repository: Repository,
  backup: OpenedBackup,
  signal: AbortSignal | undefined,
): Promise<number> {
  const raw = await readBackupObject(repository, backup, configurationName, signal);
  const { settings } = JSON.parse(raw.toString("utf8")) as ServerConfiguration;
  return Number(settings.find(({ name }) => name === "block_size")?.value ?? 8_192);
}
