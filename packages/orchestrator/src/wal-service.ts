import {
  createWalReceiver,
  evaluateWal,
  listWal,
  openRepository,
  readCatalog,
  type Repository,
  startWalDaemon,
  verifyWal,
  type WalDaemon,
  type WalGap,
  type WalListing,
  type WalPosition,
  type WalReceiver,
  type WalReceiverOptions,
  type WalVerifyReport,
} from "@db/backup";
import type { Config } from "@db/config";
import { type Clock, type Finding, type Logger, messageOf, type Metrics, noMetrics } from "@db/core";
import type { AuditTrail } from "./audit.ts";
import type { BackupCall, BackupService } from "./backup-service.ts";
import { connectionOf } from "./pool-options.ts";

/** How WAL is received; what is left out is as `createWalReceiver` has it. */
export interface WalReceiveCall
  extends
    Omit<BackupCall, "onProgress" | "signal">,
    Pick<WalReceiverOptions, "slot" | "spoolDirectory" | "spoolBytes" | "tailIntervalMs" | "onGap"> {
  /** Ends a backup after a gap; the receiver itself ends by its `stop`. */
  readonly signal?: AbortSignal | undefined;
  /** Whether a gap has a full backup taken at once, behind which recovery goes on. Default true. */
  readonly backUpAfterGap?: boolean | undefined;
}

/** One cluster's WAL archive, for people and scripts. LSNs as PostgreSQL writes them. */
export interface WalArchiveState {
  readonly systemIdentifier: string;
  readonly segments: number;
  readonly firstSegment: string | null;
  readonly lastSegment: string | null;
  readonly timelines: readonly number[];
  readonly storedBytes: number;
  /** What a receiver last knew; null where WAL only comes by archive_command. */
  readonly position: WalPosition | null;
  readonly gaps: readonly WalGap[];
  /** A gap no full backup stands behind, a hole, a receiver that is late. */
  readonly findings: readonly Finding[];
}

/** The WAL of clusters in the configured repository. */
export interface WalService {
  /** Makes a receiver of the configured server's WAL; nothing happens before its `start`. */
  receiver(call?: WalReceiveCall): Promise<WalReceiver>;
  /** Every archive in the repository, judged. Needs no server and no key. */
  status(call?: BackupCall): Promise<readonly WalArchiveState[]>;
  /** Reads every archive in the repository back: by its checksums, and by its key where that is given. */
  verify(call?: BackupCall): Promise<readonly (WalVerifyReport & { readonly systemIdentifier: string })[]>;
  /** Answers `push` and `fetch` from this process, which is warm and has the key. */
  serve(socketPath: string, call?: BackupCall): Promise<WalDaemon>;
}

export function createWalService(options: {
  readonly backups: () => BackupService;
  readonly config: Config;
  readonly audit: AuditTrail;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: Metrics;
}): WalService {
  const { backups, config, audit, clock, logger, metrics = noMetrics } = options;
  const { backup } = config;
  const open = (call: BackupCall): Promise<Repository> =>
    openRepository(call.repository ?? backup.repository, { encryptionKey: backup.encryptionKey?.reveal() });

  return {
    receiver: async (call = {}) => {
      // The signal is not handed on: a receiver that is stopped stores the tail first, an aborted one does not.
      const { backUpAfterGap = true, onGap, repository, signal, ...rest } = call;
      return createWalReceiver({
        ...rest,
        url: connectionOf(config).primaryUrl.reveal(),
        repository: await open(call),
        compression: { algorithm: backup.compression, level: 1 },
        clock,
        logger,
        metrics,
        onGap: (gap) => {
          onGap?.(gap);
          // Nothing behind a gap can be restored before there is a full backup behind it.
          if (backUpAfterGap) void backUpAfter(backups(), { repository, signal }, { clock, logger });
        },
      });
    },
    status: async (call = {}) => {
      const repository = await open(call);
      const catalog = await readCatalog(repository, { signal: call.signal });
      const states: WalArchiveState[] = [];
      for (const { systemIdentifier, segmentBytes } of catalog.wal ?? []) {
        const listing = await listWal(repository, systemIdentifier, { signal: call.signal });
        // Without a backup no record tells the size of segments; then the usual one stands.
        const bytes = segmentBytes === 0 ? 16 * 1024 * 1024 : segmentBytes;
        const findings = evaluateWal(listing, catalog.backups, bytes, {}, clock.now());
        states.push({ ...stateOf(listing), findings });
      }
      return states;
    },
    verify: async (call = {}) => {
      const repository = await open(call);
      const { onProgress, signal } = call;
      const { wal = [] } = await readCatalog(repository, { signal });
      const reports: (WalVerifyReport & { readonly systemIdentifier: string })[] = [];
      for (const { systemIdentifier } of wal) {
        const report = await verifyWal({ repository, systemIdentifier, onProgress, signal, clock, logger });
        reports.push({ systemIdentifier, ...report });
      }
      return reports;
    },
    serve: (socketPath, call = {}) =>
      audit.run(
        "wal.serve",
        async () => startWalDaemon({ repository: await open(call), socketPath, signal: call.signal, logger }),
        () => ({ socketPath }),
      ),
  };
}

/** Tries until a full backup was taken: the server may be busy with another, or be gone for a moment. */
async function backUpAfter(
  backups: BackupService,
  call: BackupCall,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<void> {
  for (let pauseMs = 1_000; call.signal?.aborted !== true; pauseMs = Math.min(60_000, pauseMs * 2)) {
    try {
      await backups.run(call);
      return;
    } catch (error) {
      logger.error({ error: messageOf(error), retryMs: pauseMs }, "the full backup after a gap failed");
      await clock.sleep(pauseMs, call.signal).catch(() => undefined);
    }
  }
}

function stateOf(listing: WalListing): Omit<WalArchiveState, "findings"> {
  const names = [...listing.segments].sort();
  return {
    systemIdentifier: listing.systemIdentifier,
    segments: names.length,
    firstSegment: names[0] ?? null,
    lastSegment: names.at(-1) ?? null,
    timelines: [...new Set(names.map((name) => Number.parseInt(name.slice(0, 8), 16)))],
    storedBytes: listing.storedBytes,
    position: listing.position ?? null,
    gaps: listing.gaps,
  };
}
