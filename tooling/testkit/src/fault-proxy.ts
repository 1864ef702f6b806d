import { connect, createServer, type Server, type Socket } from "node:net";
import { FaultPipe, type FaultMode } from "./fault-pipe.ts";

/** Where a proxy passes connections on to. */
export interface ProxyTarget {
  readonly host: string;
  readonly port: number;
}

/** One or both ways of a connection. */
export type Direction = "both" | "toServer" | "toClient";

/**
 * A TCP proxy that misbehaves on command. A switch takes effect at once, on open connections and on those to come.
 * What `blackhole` held back is delivered when the mode changes, as after a mended network partition.
 */
export interface FaultProxy extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Connections open now. */
  readonly connections: number;
  /** Connections accepted since the start. */
  readonly accepted: number;
  /** Bytes that arrived at their end. */
  readonly bytesToServer: number;
  readonly bytesToClient: number;
  /** The same address, through the proxy. */
  url(targetUrl: string): string;
  set(mode: FaultMode, direction?: Direction): void;
  pass(): void;
  /** Every byte arrives `ms` later, in order. */
  delay(ms: number, direction?: Direction): void;
  /** Nothing arrives any more and nothing is closed. */
  blackhole(direction?: Direction): void;
  trickle(bytesPerSecond: number, direction?: Direction): void;
  /** Other bytes arrive than those that were sent. */
  garbage(direction?: Direction): void;
  /** Every connection ends with a TCP reset, new ones as soon as they open, until the mode changes. */
  reset(): void;
  /** Says "no more" to one side of every open connection while the other way stays open. Default: to the client. */
  halfClose(direction?: Exclude<Direction, "both">): void;
  /** Stops listening: connections are refused. Open ones stay. `accept` undoes it on the same port. */
  refuse(): Promise<void>;
  accept(): Promise<void>;
  /** Passes connections to come on to another server. */
  retarget(target: ProxyTarget): void;
  stop(): Promise<void>;
}

/** Starts a proxy on a free port of 127.0.0.1, passing everything. */
export async function startFaultProxy(options: { readonly target: ProxyTarget | string }): Promise<FaultProxy> {
  const target = typeof options.target === "string" ? targetOf(options.target) : options.target;
  const proxy = new TcpFaultProxy(target);
  await proxy.accept();
  return proxy;
}

function targetOf(url: string): ProxyTarget {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 5432) };
}

interface Connection {
  readonly client: Socket;
  readonly server: Socket;
  readonly toServer: FaultPipe;
  readonly toClient: FaultPipe;
}

class TcpFaultProxy implements FaultProxy {
  readonly host = "127.0.0.1";
  #port = 0;
  #accepted = 0;
  #target: ProxyTarget;
  #listener: Server | undefined;
  #toServer: FaultMode = { kind: "pass" };
  #toClient: FaultMode = { kind: "pass" };
  #resetting = false;
  readonly #open = new Set<Connection>();
  readonly #counts = { toServer: 0, toClient: 0 };

  constructor(target: ProxyTarget) {
    this.#target = target;
  }

  get port(): number {
    return this.#port;
  }
  get connections(): number {
    return this.#open.size;
  }
  get accepted(): number {
    return this.#accepted;
  }
  get bytesToServer(): number {
    return this.#counts.toServer;
  }
  get bytesToClient(): number {
    return this.#counts.toClient;
  }

  url(targetUrl: string): string {
    const url = new URL(targetUrl);
    url.hostname = this.host;
    url.port = String(this.#port);
    return url.href;
  }

  set(mode: FaultMode, direction: Direction = "both"): void {
    this.#resetting = false;
    if (direction !== "toClient") this.#toServer = mode;
    if (direction !== "toServer") this.#toClient = mode;
    for (const { toServer, toClient } of this.#open) {
      toServer.set(this.#toServer);
      toClient.set(this.#toClient);
    }
  }

  pass(): void {
    this.set({ kind: "pass" });
  }
  delay(ms: number, direction?: Direction): void {
    this.set({ kind: "delay", ms }, direction);
  }
  blackhole(direction?: Direction): void {
    this.set({ kind: "blackhole" }, direction);
  }
  trickle(bytesPerSecond: number, direction?: Direction): void {
    this.set({ kind: "trickle", bytesPerSecond }, direction);
  }
  garbage(direction?: Direction): void {
    this.set({ kind: "garbage" }, direction);
  }

  reset(): void {
    this.#resetting = true;
    for (const { client, server } of this.#open) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  halfClose(direction: Exclude<Direction, "both"> = "toClient"): void {
    for (const { client, server } of this.#open) (direction === "toClient" ? client : server).end();
  }

  async refuse(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    // The callback waits for open connections, the port is free before.
    listener?.close();
  }

  async accept(): Promise<void> {
    if (this.#listener !== undefined) return;
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#connect(client));
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject);
      listener.listen(this.#port, this.host, resolve);
    });
    const address = listener.address();
    if (typeof address === "object" && address !== null) this.#port = address.port;
    this.#listener = listener;
  }

  retarget(target: ProxyTarget): void {
    this.#target = target;
  }

  async stop(): Promise<void> {
    await this.refuse();
    for (const { client, server } of this.#open) {
      client.destroy();
      server.destroy();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #connect(client: Socket): void {
    this.#accepted += 1;
    client.on("error", () => undefined);
    if (this.#resetting) {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const connection: Connection = {
      client,
      server,
      toServer: new FaultPipe(client, server, this.#toServer, (bytes) => (this.#counts.toServer += bytes)),
      toClient: new FaultPipe(server, client, this.#toClient, (bytes) => (this.#counts.toClient += bytes)),
    };
    this.#open.add(connection);
    for (const socket of [client, server]) {
      socket.once("close", () => {
        if (client.destroyed && server.destroyed) this.#open.delete(connection);
      });
    }
  }
}
