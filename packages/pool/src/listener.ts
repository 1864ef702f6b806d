import { AbortedError, quoteIdentifier } from "@db/core";
import type pg from "pg";
import { connectClient } from "./connect.ts";
import { PoolClosedError } from "./errors.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import { fullJitterMs } from "./retry.ts";
import type { Server } from "./server.ts";
import type { Topology } from "./topology.ts";

/** One NOTIFY. */
export interface PoolNotification {
  readonly channel: string;
  readonly payload: string;
  /** The backend that sent it. */
  readonly processId: number;
}

/** A time in which notifications may have been missed. */
export interface ListenGap {
  readonly channel: string;
  /** ISO 8601: when the old connection was lost and when the new one listens. */
  readonly from: string;
  readonly to: string;
}

export interface ListenOptions {
  /** Told after each reconnection: read again whatever the notifications announce. */
  readonly onGap?: (gap: ListenGap) => void;
  /** Ends the subscription when it fires, or the attempt to begin one. */
  readonly signal?: AbortSignal;
}

interface Subscription {
  readonly channel: string;
  readonly receive: (notification: PoolNotification) => void;
  readonly onGap: ((gap: ListenGap) => void) | undefined;
}

/**
 * Listens on one connection of its own for everybody in the pool. When it breaks, or another server becomes the
 * primary, it connects again, listens again, and tells about the gap.
 */
export class Listener {
  readonly #topology: Topology;
  readonly #options: ResolvedPoolOptions;
  readonly #subscriptions = new Set<Subscription>();
  #client: pg.Client | undefined;
  #server: Server | undefined;
  #connecting: Promise<pg.Client> | undefined;
  #lostAt: number | undefined;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(topology: Topology, options: ResolvedPoolOptions) {
    this.#topology = topology;
    this.#options = options;
  }

  /** Resolves once the server listens; the subscription ends when it is disposed. */
  async listen(
    channel: string,
    receive: (notification: PoolNotification) => void,
    { onGap, signal }: ListenOptions,
  ): Promise<AsyncDisposable> {
    if (this.#ended) throw new PoolClosedError();
    const subscription: Subscription = { channel, receive, onGap };
    if (signal?.aborted) throw new AbortedError("aborted before listening", { cause: signal.reason });
    // Known before the server listens, so that nothing said in between is missed.
    this.#subscriptions.add(subscription);
    const end = (): Promise<void> => this.#unlisten(subscription);
    const abort = (): void => void end().catch(() => undefined);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const client = await this.#connected();
      await client.query(`listen ${quoteIdentifier(channel)}`);
    } catch (error) {
      signal?.removeEventListener("abort", abort);
      this.#subscriptions.delete(subscription);
      if (signal?.aborted) throw new AbortedError("aborted before listening", { cause: signal.reason });
      throw error;
    }
    if (signal?.aborted) throw new AbortedError("aborted before listening", { cause: signal.reason });
    return {
      [Symbol.asyncDispose]: () => {
        signal?.removeEventListener("abort", abort);
        return end();
      },
    };
  }

  /** This server no longer answers: listen elsewhere, or again. */
  left(server: string): void {
    if (this.#server?.name === server) this.#client?.connection.stream.destroy();
  }

  /** The primary changed: listen there. */
  moved(): void {
    if (this.#client && this.#server !== this.#topology.primary) this.#client.connection.stream.destroy();
  }

  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#subscriptions.clear();
    await this.#connecting?.catch(() => undefined);
    await this.#client?.end();
  }

  async #unlisten(subscription: Subscription): Promise<void> {
    if (!this.#subscriptions.delete(subscription)) return;
    const { channel } = subscription;
    if (this.#subscriptions.size === 0) {
      const client = this.#client;
      this.#client = undefined;
      await client?.end();
    } else if (!Array.from(this.#subscriptions).some((other) => other.channel === channel)) {
      await this.#client?.query(`unlisten ${quoteIdentifier(channel)}`);
    }
  }

  #connected(): Promise<pg.Client> {
    if (this.#client) return Promise.resolve(this.#client);
    this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  async #connect(): Promise<pg.Client> {
    await this.#topology.start();
    const server = this.#topology.primary ?? this.#topology.servers[0]!;
    let latest: pg.Client | undefined;
    let client: pg.Client;
    const deadline = setTimeout(() => latest?.connection.stream.destroy(), this.#options.connectTimeoutMs);
    try {
      client = await connectClient(server.spec, (made) => {
        made.on("error", () => undefined);
        latest = made;
      });
      for (const channel of new Set(Array.from(this.#subscriptions, (subscription) => subscription.channel))) {
        await client.query(`listen ${quoteIdentifier(channel)}`);
      }
    } finally {
      clearTimeout(deadline);
    }
    client.on("notification", ({ channel, payload = "", processId }) => {
      for (const subscription of this.#subscriptions) {
        if (subscription.channel === channel) subscription.receive({ channel, payload, processId });
      }
    });
    client.once("end", () => this.#lost(client));
    this.#client = client;
    this.#server = server;
    this.#failures = 0;
    this.#tellGap();
    return client;
  }

  #lost(client: pg.Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#lostAt = this.#options.clock.now();
    this.#reconnect();
  }

  #reconnect(): void {
    if (this.#ended || this.#subscriptions.size === 0) return;
    this.#failures += 1;
    const waitMs = fullJitterMs(this.#failures, { minDelayMs: 100, factor: 2, maxDelayMs: 5_000 });
    this.#timer = setTimeout(() => {
      this.#connected().catch((error: unknown) => {
        this.#options.logger.warn({ error: String(error) }, "listening again failed");
        this.#reconnect();
      });
    }, waitMs);
  }

  #tellGap(): void {
    if (this.#lostAt === undefined) return;
    const from = new Date(this.#lostAt).toISOString();
    const to = new Date(this.#options.clock.now()).toISOString();
    this.#lostAt = undefined;
    for (const { channel, onGap } of this.#subscriptions) onGap?.({ channel, from, to });
  }
}
