import type { Cluster, Settings, StopMode } from "@db/embedded";
import { Client } from "pg";

/** One server of a test cluster. Its port stays the same over restarts. */
export interface TestServer {
  /** `primary`, `replica_1`, … : the application name and slot name of a replica. */
  readonly name: string;
  /** `postgres://postgres:postgres@127.0.0.1:PORT/postgres`. */
  readonly url: string;
  readonly port: number;
  /** Major version. */
  readonly version: number;
  readonly dataDirectory: string;
  readonly logFile: string;
  readonly pid: number | undefined;
  isRunning(): Promise<boolean>;
  start(): Promise<void>;
  stop(mode?: StopMode): Promise<void>;
  restart(): Promise<void>;
  /** SIGKILL to every process of the server, as a power failure would. */
  kill(): Promise<void>;
  /** Every process stops in its tracks: connections stay open, nothing answers. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Makes a primary of a replica and waits until it takes writes. */
  promote(): Promise<void>;
  /** Adds settings and reloads them; some need `restart`. */
  reconfigure(settings: Settings): Promise<void>;
  /** A connected client; the caller ends it. */
  connect(database?: string): Promise<Client>;
}

export class LocalTestServer implements TestServer {
  readonly name: string;
  readonly cluster: Cluster;

  constructor(name: string, cluster: Cluster) {
    this.name = name;
    this.cluster = cluster;
  }

  get url(): string {
    return this.cluster.url;
  }
  get port(): number {
    return this.cluster.port;
  }
  get version(): number {
    return this.cluster.major;
  }
  get dataDirectory(): string {
    return this.cluster.dataDirectory;
  }
  get logFile(): string {
    return this.cluster.logFile;
  }
  get pid(): number | undefined {
    return this.cluster.pid;
  }

  isRunning(): Promise<boolean> {
    return this.cluster.isRunning();
  }
  start(): Promise<void> {
    return this.cluster.start();
  }
  stop(mode?: StopMode): Promise<void> {
    return this.cluster.stop(mode);
  }
  restart(): Promise<void> {
    return this.cluster.restart();
  }
  kill(): Promise<void> {
    return this.cluster.kill();
  }
  promote(): Promise<void> {
    return this.cluster.promote();
  }
  reconfigure(settings: Settings): Promise<void> {
    return this.cluster.reconfigure(settings);
  }

  freeze(): Promise<void> {
    return this.cluster.freeze();
  }
  thaw(): Promise<void> {
    return this.cluster.thaw();
  }

  async connect(database?: string): Promise<Client> {
    const url = new URL(this.url);
    if (database !== undefined) url.pathname = `/${encodeURIComponent(database)}`;
    const client = new Client({ connectionString: url.href });
    // A server killed on purpose ends its idle clients; unheard, that event would end the test process.
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }
}
