import { tmpdir } from "node:os";
import { InvalidBackupOptionsError } from "../errors.ts";
import { type JobOptions, resolveJobOptions, type ResolvedJobOptions } from "../options.ts";
import type { Repository } from "../repository/repository.ts";
import type { Compression } from "../repository/sealed-object.ts";
import type { WalGap } from "./listing.ts";

/** How WAL is received. */
export interface WalReceiverOptions extends Omit<JobOptions, "onProgress"> {
  /** `postgres://` URL of a role with REPLICATION, on the primary or whoever holds its name. */
  readonly url: string;
  readonly repository: Repository;
  /** Physical slot that holds the WAL until it is stored; made when it is not there. Default `db_backup`. */
  readonly slot?: string | undefined;
  /** Refuse any other cluster than this. Default: whichever answers first. */
  readonly systemIdentifier?: string | undefined;
  /** Where WAL waits for the repository. Default a directory of its own under the system's temporary one. */
  readonly spoolDirectory?: string | undefined;
  /** Most bytes that wait; then the server waits. At least two segments. Default 1 GiB. */
  readonly spoolBytes?: number | undefined;
  /** How often the unfinished segment is stored: a lost server takes this along, and what storing takes. Default 2 000. */
  readonly tailIntervalMs?: number | undefined;
  /** Longest wait for a connection. Default 10 000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Silence after which the connection counts as dead. Default 60 000. */
  readonly idleTimeoutMs?: number | undefined;
  /** First and longest pause between two attempts. Default 1 000 and 30 000. */
  readonly backoffMs?: { readonly first?: number; readonly longest?: number } | undefined;
  readonly compression?: Compression | undefined;
  /** Called when WAL is lost for good: recovery passes no gap, so take a full backup at once. */
  readonly onGap?: ((gap: WalGap) => void) | undefined;
}

/** Options with nothing left open. */
export interface ResolvedReceiverOptions extends ResolvedJobOptions {
  readonly url: string;
  readonly repository: Repository;
  readonly slot: string;
  readonly systemIdentifier: string | undefined;
  readonly spoolDirectory: string;
  readonly spoolBytes: number;
  readonly tailIntervalMs: number;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly firstBackoffMs: number;
  readonly longestBackoffMs: number;
  readonly compression: Compression | undefined;
  readonly onGap: (gap: WalGap) => void;
}

/** @throws {InvalidBackupOptionsError} naming every problem at once */
export function resolveReceiverOptions(options: WalReceiverOptions): ResolvedReceiverOptions {
  const problems: string[] = [];
  const slot = options.slot ?? "db_backup";
  if (!/^[a-z0-9_]{1,63}$/.test(slot)) problems.push("slot may hold lower-case letters, digits and underscores");
  if (!/^postgres(ql)?:\/\//.test(options.url)) problems.push("url must begin with postgres://");
  const spoolBytes = options.spoolBytes ?? 1024 ** 3;
  const tailIntervalMs = options.tailIntervalMs ?? 2_000;
  const connectTimeoutMs = options.connectTimeoutMs ?? 10_000;
  const idleTimeoutMs = options.idleTimeoutMs ?? 60_000;
  const { first = 1_000, longest = 30_000 } = options.backoffMs ?? {};
  const times = { spoolBytes, tailIntervalMs, connectTimeoutMs, idleTimeoutMs, "backoffMs.first": first };
  for (const [name, value] of Object.entries(times)) if (!(value > 0)) problems.push(`${name} must be above zero`);
  if (!(longest >= first)) problems.push("backoffMs.longest must not be below backoffMs.first");
  if (problems.length > 0) throw new InvalidBackupOptionsError(problems.join("; "));
  return {
    ...resolveJobOptions(options),
    url: options.url,
    repository: options.repository,
    slot,
    systemIdentifier: options.systemIdentifier,
    spoolDirectory: options.spoolDirectory ?? `${tmpdir()}/db-wal-spool-${process.pid}-${slot}`,
    spoolBytes,
    tailIntervalMs,
    connectTimeoutMs,
    idleTimeoutMs,
    firstBackoffMs: first,
    longestBackoffMs: longest,
    compression: options.compression,
    onGap: options.onGap ?? (() => undefined),
  };
}
