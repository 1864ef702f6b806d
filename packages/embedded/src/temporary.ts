import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import type { Logger } from "@db/core";
import { serverAccount } from "./account.ts";
import { type Binaries, requireBinaries } from "./binaries.ts";
import type { Cluster } from "./cluster.ts";
import { createCluster, openCluster } from "./create.ts";
import { dataMajorVersion } from "./data-directory.ts";
import { startGuard } from "./guard.ts";
import { sharedDirectory } from "./reach.ts";
import { type Settings, throwawaySettings } from "./settings.ts";

/** What a temporary cluster is started with. */
export interface TemporaryClusterOptions {
  /** Major version of a new cluster. Default that of `dataDirectory`, else the newest found. */
  readonly version?: number;
  readonly binaries?: Binaries;
  /** Data to run instead of a new, empty cluster: a restored backup. It is started as it is and never deleted. */
  readonly dataDirectory?: string;
  /** A superuser. Default `postgres`. */
  readonly username?: string;
  /** Its password; with `dataDirectory` the one it has there. Default for a new cluster: generated. */
  readonly password?: string;
  readonly settings?: Settings;
  /** Settings that win over those in `dataDirectory`. */
  readonly overrides?: Settings;
  /** The whole text of pg_hba.conf. Default: passwords from 127.0.0.1. */
  readonly hba?: string;
  /** Variables for the commands the server runs. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Longest wait for the server; a restore replays its WAL in this time. Default 60 000 ms. */
  readonly startTimeoutMs?: number;
  /** The account to run the server as when this process is root. Default `postgres`, else `nobody`. */
  readonly account?: string;
  readonly logger?: Logger;
  readonly signal?: AbortSignal;
}

/** A running cluster that is gone once disposed of, or when this process ends in any way. */
export interface TemporaryCluster extends AsyncDisposable {
  readonly cluster: Cluster;
  /** `postgres://user:password@127.0.0.1:port/postgres`. Holds the password: never log it. */
  readonly url: string;
}

/**
 * Starts a cluster for a while: a shadow database, the server of a restore drill. A new cluster does not wait for the
 * disk; data that was given runs with full care.
 * @throws {BinariesNotFoundError | ClusterError | DirectoryError}
 */
export async function startTemporaryCluster(options: TemporaryClusterOptions = {}): Promise<TemporaryCluster> {
  const account = await serverAccount(options.account);
  const { dataDirectory, signal } = options;
  const version = options.version ?? (dataDirectory === undefined ? undefined : await dataMajorVersion(dataDirectory));
  const binaries = options.binaries ?? (await requireBinaries(version === undefined ? {} : { version }));
  const directory = await mkdtemp(path.join(await sharedDirectory("temporary", account), `${process.pid}-`));
  const guard = startGuard({ mode: "immediate", removeDirectory: directory });
  let cluster: Cluster | undefined;
  const dispose = async (): Promise<void> => {
    // remove() would delete data that is not its own.
    if (dataDirectory === undefined) await cluster?.remove();
    else await cluster?.stop();
    await rm(directory, { recursive: true, force: true });
    guard.dismiss();
  };
  try {
    await chmod(directory, 0o711);
    const common = {
      directory: path.join(directory, "cluster"),
      binaries,
      guard,
      durable: false,
      password: options.password ?? randomBytes(18).toString("base64url"),
      ...definedOf(options, ["username", "overrides", "environment", "startTimeoutMs", "account", "logger"]),
    };
    const hba = options.hba === undefined ? {} : { hba: options.hba };
    cluster =
      dataDirectory === undefined
        ? await createCluster({
            ...common,
            ...hba,
            settings: { ...throwawaySettings, ...options.settings },
            ...(signal === undefined ? {} : { signal }),
          })
        : await openCluster({
            ...common,
            dataDirectory,
            // The method named md5 takes both kinds of stored passwords.
            hba: options.hba ?? "host all all 127.0.0.1/32 md5\nhost replication all 127.0.0.1/32 md5\n",
            ...(options.settings === undefined ? {} : { settings: options.settings }),
          });
    await cluster.start(signal === undefined ? {} : { signal });
    return { cluster, url: cluster.url, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** The named members that are not undefined. */
function definedOf<T extends object, K extends keyof T>(source: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(keys.flatMap((key) => (source[key] === undefined ? [] : [[key, source[key]]]))) as Pick<
    T,
    K
  >;
}
