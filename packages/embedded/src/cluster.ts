import type { Logger, Queryable } from "@db/core";
import type { Account } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import type { Guard } from "./guard.ts";
import type { FindPort } from "./port.ts";
import type { Settings } from "./settings.ts";

/** What a cluster is opened with. */
export interface OpenClusterOptions {
  /** The cluster's own directory: its log, its records, and the data below unless `dataDirectory` says otherwise. */
  readonly directory: string;
  /** The data directory. Default `data` below `directory`. */
  readonly dataDirectory?: string;
  readonly binaries: Binaries;
  /** TCP port on 127.0.0.1, this one or none. Default a free one, kept over restarts while nobody else took it. */
  readonly port?: number;
  /** The port to try first when `port` is not given. */
  readonly preferredPort?: number;
  /** Server settings, written to a file of their own that postgresql.conf includes. ALTER SYSTEM goes before them. */
  readonly settings?: Settings;
  /** Settings that win over everything, ALTER SYSTEM included: for data whose configuration came from elsewhere. */
  readonly overrides?: Settings;
  /** The whole text of pg_hba.conf to use instead of the one in the data directory. */
  readonly hba?: string;
  /** Superuser of the cluster. Default `postgres`. */
  readonly username?: string;
  /** The superuser's password, for `url` and for standbys. */
  readonly password: string;
  /** The account to run the server as when this process is root. Default `postgres`, else `nobody`. */
  readonly account?: string;
  /** Variables for the server and the commands it runs (`restore_command`), beside PATH and a plain locale. */
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * False does not wait for the disk while making and recording the cluster: for tests. The server itself is told by
   * `throwawaySettings`. Default true.
   */
  readonly durable?: boolean;
  /** Longest wait for the server to accept connections. Default 60 000 ms; crash recovery may need more. */
  readonly startTimeoutMs?: number;
  /** Stops the server when this process ends without having done so. */
  readonly guard?: Guard;
  readonly logger?: Logger;
  /** Chooses ports. Default asks the system. */
  readonly findPort?: FindPort;
}

/** What a new cluster is made with. */
export interface CreateClusterOptions extends OpenClusterOptions {
  /** More arguments for initdb, `--wal-segsize=1`. */
  readonly initdbArguments?: readonly string[];
  readonly signal?: AbortSignal;
}

/** How a standby is made from a cluster. */
export interface CloneOptions {
  /** The standby's own directory. */
  readonly directory: string;
  /** Name of the standby at the primary and of its replication slot: lower-case letters, digits, underscores. */
  readonly name: string;
  readonly port?: number;
  readonly preferredPort?: number;
  /** Settings beside those of the primary. */
  readonly settings?: Settings;
  /**
   * One superuser session on this cluster, kept for the whole copy: the primary then goes on running. Without it a
   * running primary is stopped for the copy and started again.
   */
  readonly session?: Queryable;
  readonly signal?: AbortSignal;
}

/** `smart` waits for clients, `fast` ends their sessions, `immediate` leaves crash recovery to the next start. */
export type StopMode = "smart" | "fast" | "immediate";

/** How a standby stands to its primary since its last start. */
export interface ReplicationState {
  readonly state: "streaming" | "waiting" | "failed";
  /** What the server said, when it failed in a way that waiting does not mend. */
  readonly reason: string;
}

/** One data directory and its server on this machine. */
export interface Cluster extends AsyncDisposable {
  readonly directory: string;
  readonly dataDirectory: string;
  readonly binaries: Binaries;
  /** Major version. */
  readonly major: number;
  /** The account the server runs as; undefined means this process's own. */
  readonly account: Account | undefined;
  readonly username: string;
  readonly password: string;
  /** What the server writes, appended from start to start. */
  readonly logFile: string;
  /** The port of the running server, or of its last start; 0 before the first. */
  readonly port: number;
  /** `postgres://user:password@127.0.0.1:port/postgres`. Holds the password: never log it. */
  readonly url: string;
  readonly pid: number | undefined;
  isRunning(): Promise<boolean>;
  /** Starts and waits until the server accepts connections. Does nothing when it runs. @throws {ClusterError} */
  start(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Stops and waits for the end; by force after `timeoutMs` (default 30 000). Does nothing when stopped. */
  stop(mode?: StopMode, options?: { readonly timeoutMs?: number }): Promise<void>;
  restart(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** SIGKILL to the server and its children, as a power failure would. */
  kill(): Promise<void>;
  /** Stops every process in its tracks: connections stay open, nothing answers. Not on Windows. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Ends recovery: a standby becomes a primary. Waits until it takes writes. @throws {ClusterError} */
  promote(options?: { readonly timeoutMs?: number }): Promise<void>;
  /** Adds settings and reloads them; those that need a restart wait for one. */
  reconfigure(settings: Settings): Promise<void>;
  /** Makes a streaming standby of this cluster with a slot of its own. It follows this cluster and is not started. */
  clone(options: CloneOptions): Promise<Cluster>;
  /** Points this standby at `primary` where that runs now; needed again whenever the primary's port changed. */
  follow(primary: Cluster, name: string): Promise<void>;
  /** What the log says of streaming since the last start of this standby. */
  replicationState(): Promise<ReplicationState>;
  /** Runs statements on the stopped cluster as the superuser, with no client. @throws {ClusterError} */
  runOffline(statements: readonly string[], database?: string): Promise<string>;
  /** Stops at once and deletes the cluster's directory and data. */
  remove(): Promise<void>;
}
