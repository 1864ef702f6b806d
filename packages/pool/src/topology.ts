import { AbortedError, type Clock, type Logger } from "@db/core";
import { electPrimary } from "./election.ts";
import { keepAlive } from "./keep-alive.ts";
import { PrimaryPositions } from "./lag.ts";
import { type Election, noElection } from "./observation.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import type { ProbeOutcome } from "./probe.ts";
import type { Server, ServerState } from "./server.ts";

/** A new primary took over. */
export interface Failover {
  readonly from: string | undefined;
  readonly to: string;
  readonly timeline: number | undefined;
  /** ISO 8601. */
  readonly at: string;
}

/** What the topology tells the pool. */
export interface TopologyListener {
  failedOver(failover: Failover): void;
  stateChanged(of: { server: string; from: ServerState; to: ServerState; reason: string | undefined }): void;
}

/** Keeps the servers probed, elects the primary, measures lag. */
export class Topology {
  readonly servers: readonly Server[];
  failovers = 0;
  readonly #intervalMs: number | false;
  readonly #listener: TopologyListener;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #positions = new PrimaryPositions();
  readonly #timers = new Map<Server, NodeJS.Timeout>();
  readonly #electionWaiters = new Set<() => void>();
  #election: Election = noElection;
  #primary: Server | undefined;
  #firstRound: Promise<void> | undefined;
  #lastPrimary: Server | undefined;
  #hadPrimary = false;
  #asked = false;
  #ended = false;

  constructor(servers: readonly Server[], options: ResolvedPoolOptions, listener: TopologyListener) {
    this.servers = servers;
    this.#intervalMs = options.probeIntervalMs;
    this.#listener = listener;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** With one server there is nothing to choose: whatever it is, it is the one that was named. */
  get only(): Server | undefined {
    return this.servers.length === 1 ? this.servers[0] : undefined;
  }

  get primary(): Server | undefined {
    return this.only ?? this.#primary;
  }

  /** The primary once every server was asked: until then it is not for sure. */
  get settledPrimary(): Server | undefined {
    return this.#asked ? this.#primary : undefined;
  }

  get election(): Election {
    return this.#election;
  }

  /** WAL position of the primary when last seen. */
  get primaryLsn(): string | undefined {
    return this.#positions.latest;
  }

  /** True once a primary was found: from then on its absence is a failover to wait for, not a wrong configuration. */
  get hadPrimary(): boolean {
    return this.#hadPrimary;
  }

  /** Begins probing, once; resolves when every server has been asked. Never rejects. */
  async start(): Promise<void> {
    this.begin();
    if (this.#firstRound && !this.#asked) await keepAlive(this.#firstRound);
  }

  /** Begins probing, once, in the background. */
  begin(): void {
    if (this.#intervalMs === false) return;
    this.#firstRound ??= this.#askFirst();
  }

  get started(): boolean {
    return this.#firstRound !== undefined;
  }

  /** True once every server was asked at least once. */
  get settled(): boolean {
    return this.#asked;
  }

  /** Probes every server now; joins probes that already run. Resolves when all have answered or failed. */
  async recheck(): Promise<void> {
    if (this.#intervalMs !== false && !this.#ended) await keepAlive(this.#ask());
  }

  /** Resolves with a primary other than `failed` as soon as there is one, or with undefined after `timeoutMs`. */
  async waitForPrimary(of: {
    failed: Server | undefined;
    timeoutMs: number;
    signal: AbortSignal | undefined;
  }): Promise<Server | undefined> {
    const askedAt = this.#clock.now();
    const over = new AbortController();
    const giveUp = (): void => {
      over.abort();
      for (const wake of this.#electionWaiters) wake();
    };
    const timer = Number.isFinite(of.timeoutMs) ? setTimeout(giveUp, of.timeoutMs) : undefined;
    of.signal?.addEventListener("abort", giveUp, { once: true });
    void this.recheck();
    try {
      while (!over.signal.aborted && !this.#ended && !of.signal?.aborted) {
        const { primary } = this;
        // The one that failed counts again only when a probe made since then found it well.
        const back = primary !== of.failed || (primary?.state === "up" && (primary.observation?.at ?? 0) >= askedAt);
        if (primary && back) return primary;
        await keepAlive(this.#nextElection());
      }
    } finally {
      clearTimeout(timer);
      of.signal?.removeEventListener("abort", giveUp);
    }
    if (of.signal?.aborted) throw new AbortedError("aborted while waiting for a primary", { cause: of.signal.reason });
    return undefined;
  }

  async end(): Promise<void> {
    this.#ended = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const wake of this.#electionWaiters) wake();
    await Promise.all(this.servers.map((server) => server.probe.end()));
    for (const { breaker } of this.servers) breaker.shutdown();
  }

  async #askFirst(): Promise<void> {
    await this.#ask();
    // Nobody is elected before everybody was asked: the first to answer need not be the right one.
    this.#asked = true;
    this.#elect();
    if (this.#primary) this.#measure(this.#primary);
    for (const server of this.servers) {
      this.#measure(server);
      this.#reportChange(server, "up");
    }
  }

  async #ask(): Promise<void> {
    await Promise.all(this.servers.map((server) => this.#probe(server)));
  }

  async #probe(server: Server): Promise<void> {
    clearTimeout(this.#timers.get(server));
    const outcome = await server.probe.run();
    if (this.#ended) return;
    this.#observed(server, outcome);
    if (this.#intervalMs === false) return;
    clearTimeout(this.#timers.get(server));
    this.#timers.set(server, setTimeout(() => void this.#probe(server), this.#intervalMs).unref());
  }

  #observed(server: Server, outcome: ProbeOutcome): void {
    const before = this.servers.map((each) => [each, each.state] as const);
    server.observed(outcome);
    if (!this.#asked) return;
    this.#elect();
    this.#measure(server);
    for (const [each, state] of before) this.#reportChange(each, state);
    for (const wake of this.#electionWaiters) wake();
  }

  #elect(): void {
    const election = electPrimary(
      this.servers.map(({ view }) => view),
      this.#election,
    );
    for (const server of this.servers) {
      server.refusal = election.refusals.find((refusal) => refusal.server === server.name);
    }
    const primary = this.servers.find(({ name }) => name === election.primary);
    const previous = this.#lastPrimary;
    // The name of the last primary is kept while there is none, so that its own return is no failover.
    this.#election = { ...election, primary: election.primary ?? this.#election.primary };
    this.#primary = primary;
    if (!primary || primary === previous) return;
    this.#lastPrimary = primary;
    this.#hadPrimary = true;
    for (const server of this.servers) server.settled();
    if (!previous) return;
    this.failovers += 1;
    const { timeline } = election;
    this.#logger.warn({ from: previous.name, to: primary.name, timeline }, "a new primary took over");
    const at = new Date(this.#clock.now()).toISOString();
    this.#listener.failedOver({ from: previous.name, to: primary.name, timeline, at });
  }

  #measure(server: Server): void {
    const { observation } = server;
    if (observation?.lsn === undefined) return;
    if (server === this.#primary) {
      this.#positions.add(observation.lsn, observation.at);
      server.lag = undefined;
    } else if (observation.inRecovery) {
      server.lag = this.#positions.lagOf(observation.lsn, this.#clock.now());
    }
  }

  #reportChange(server: Server, from: ServerState): void {
    const to = server.state;
    if (from === to) return;
    const reason = server.refusal?.seen ?? server.failure;
    this.#logger[to === "up" ? "info" : "warn"]({ server: server.name, from, to, reason }, "a server changed state");
    this.#listener.stateChanged({ server: server.name, from, to, reason });
  }

  #nextElection(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#electionWaiters.add(resolve);
    return promise.finally(() => this.#electionWaiters.delete(resolve));
  }
}
