import { AbortedError, type Clock, type Logger } from "@db/core";
import { electPrimary, trustNames } from "./election.ts";
import { keepAlive } from "./keep-alive.ts";
import { PrimaryPositions } from "./lag.ts";
import { Membership } from "./membership.ts";
import { type Election, noElection } from "./observation.ts";
import { ServerLeftError } from "./errors.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import { plainRoute } from "./target-session.ts";
import type { ProbeOutcome } from "./probe.ts";
import type { Server, ServerState } from "./server.ts";
import type { ServerSpec } from "./server-spec.ts";
import type { ProviderStats, TopologyMember } from "./topology-provider.ts";

/** A new primary took over. */
export interface Failover {
  readonly from: string | undefined;
  readonly to: string;
  readonly timeline: number | undefined;
  /** ISO 8601. */
  readonly at: string;
}

/** Servers that joined or left, by name. */
export interface MembershipChange {
  readonly joined: readonly string[];
  readonly left: readonly string[];
}

/** What the topology tells the pool. */
export interface TopologyListener {
  failedOver(failover: Failover): void;
  membersChanged(change: MembershipChange): void;
  stateChanged(of: { server: string; from: ServerState; to: ServerState; reason: string | undefined }): void;
}

/** Keeps the servers probed, elects the primary, measures lag, lets servers join and leave. */
export class Topology {
  #servers: readonly Server[];
  failovers = 0;
  readonly #make: (spec: ServerSpec) => Server;
  readonly #options: ResolvedPoolOptions;
  readonly #membership: Membership | undefined;
  readonly #leaving = new Set<Promise<void>>();
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

  constructor(make: (spec: ServerSpec) => Server, options: ResolvedPoolOptions, listener: TopologyListener) {
    this.#make = make;
    this.#options = options;
    this.#servers = options.servers.map(make);
    this.#intervalMs = options.probeIntervalMs;
    this.#listener = listener;
    this.#clock = options.clock;
    this.#logger = options.logger;
    const { topology, clock, logger, route } = options;
    this.#choosy = typeof topology === "object" || (route !== plainRoute && route.target !== "any");
    if (typeof topology === "object") {
      const changed = (members: readonly TopologyMember[]): void => this.#told(members);
      this.#membership = new Membership({ provider: topology, clock, logger, changed });
    }
    // Nobody will be asked: the names are all there is, and they are believed.
    if (topology === "static" && this.#intervalMs === false) {
      this.#asked = true;
      this.#elect();
    }
  }

  get servers(): readonly Server[] {
    return this.#servers;
  }

  /** What is known of who tells which servers there are. */
  get provider(): ProviderStats | undefined {
    return this.#membership?.stats;
  }

  /**
   * With one server there is nothing to choose: whatever it is, it is the one that was named. Unless it must be of a
   * kind, or others may join it.
   */
  get only(): Server | undefined {
    return this.#servers.length === 1 && !this.#choosy ? this.#servers[0] : undefined;
  }
  readonly #choosy: boolean;

  get primary(): Server | undefined {
    return this.only ?? this.#primary;
  }

  /** The primary once every server was asked: until then it is not for sure. */
  get settledPrimary(): Server | undefined {
    return this.#asked && this.#options.route.mode === undefined ? this.#primary : undefined;
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

  /** Makes these, and the configured primary's hosts, the servers there are. Those already here stay as they are. */
  setReplicas(specs: readonly ServerSpec[]): void {
    const replicas = new Map(specs.map((spec) => [spec.address.name, spec]));
    const stay = (server: Server): boolean => server.spec.configuredRole === "primary" || replicas.has(server.name);
    for (const server of this.#servers) server.weight = replicas.get(server.name)?.weight ?? server.weight;
    this.#change(specs, stay);
  }

  #told(members: readonly TopologyMember[]): void {
    if (this.#ended) return;
    const named = members.find(({ role }) => role === "primary");
    const specs = members.map((member) => this.#options.newServers.specOf(member));
    const byName = new Map(specs.map((spec, index) => [spec.address.name, members[index]!]));
    const before = this.#servers.find((server) => server.named)?.name;
    this.#change(specs, ({ name }) => byName.has(name));
    for (const server of this.#servers) {
      const member = byName.get(server.name)!;
      server.named = member === named;
      server.weight = member.weight ?? 1;
    }
    const now = this.#servers.find((server) => server.named)?.name;
    // The probes find out what became of it sooner than at their next turn.
    if (before !== now && this.#asked) void this.recheck();
  }

  #change(specs: readonly ServerSpec[], stay: (server: Server) => boolean): void {
    const left = this.#servers.filter((server) => !stay(server));
    const known = new Set(this.#servers.map(({ name }) => name));
    const joined = specs.filter(({ address }) => !known.has(address.name)).map((spec) => this.#make(spec));
    if (left.length === 0 && joined.length === 0) return;
    this.#servers = [...this.#servers.filter(stay), ...joined];
    for (const server of left) this.#letGo(server);
    if (this.started) for (const server of joined) void this.#probe(server);
    if (this.#asked) this.#elect();
    const change = { joined: joined.map(({ name }) => name), left: left.map(({ name }) => name) };
    this.#logger.info(change, "servers joined or left");
    this.#listener.membersChanged(change);
    for (const wake of this.#electionWaiters) wake();
  }

  #letGo(server: Server): void {
    clearTimeout(this.#timers.get(server));
    this.#timers.delete(server);
    // Who waits for it is served by others: what it was asked fails as a connection does, and is tried elsewhere.
    server.connections.rejectWaiting(new ServerLeftError(server.name));
    const leaving = server.leave().finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#membership?.end();
    await Promise.all(this.#leaving);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const wake of this.#electionWaiters) wake();
    await Promise.all(this.servers.map((server) => server.probe.end()));
    for (const { breaker } of this.servers) breaker.shutdown();
  }

  async #askFirst(): Promise<void> {
    // The provider and the servers that were named are asked together: whoever is away delays nobody.
    const told = this.#membership?.ask();
    const everybody = Promise.all([this.#ask(), told?.then(() => this.#ask())]);
    // Nobody is elected before everybody had their time: the first to answer need not be the right one.
    await Promise.race([everybody, this.#enoughAnswered(told)]);
    this.#asked = true;
    this.#elect();
    if (this.#primary) this.#measure(this.#primary);
    for (const server of this.servers) {
      this.#measure(server);
      this.#reportChange(server, "up");
    }
  }

  /** Resolves when, after the time an answer takes, somebody has answered who can serve. */
  async #enoughAnswered(told: Promise<void> | undefined): Promise<void> {
    const { probeTimeoutMs, route } = this.#options;
    await Promise.all([told, new Promise((resolve) => setTimeout(resolve, probeTimeoutMs).unref())]);
    const serves = (): boolean =>
      this.only !== undefined ||
      this.#electFrom(this.servers).primary !== undefined ||
      (route.target !== "primary" && this.servers.some(({ observation }) => observation !== undefined));
    while (!this.#ended && !serves()) await this.#nextElection();
  }

  async #ask(): Promise<void> {
    await Promise.all(this.servers.map((server) => this.#probe(server)));
  }

  async #probe(server: Server): Promise<void> {
    clearTimeout(this.#timers.get(server));
    const outcome = await server.probe.run();
    if (this.#ended || !this.#servers.includes(server)) return;
    this.#observed(server, outcome);
    if (this.#intervalMs === false) return;
    clearTimeout(this.#timers.get(server));
    this.#timers.set(server, setTimeout(() => void this.#probe(server), this.#intervalMs).unref());
  }

  #observed(server: Server, outcome: ProbeOutcome): void {
    const before = this.servers.map((each) => [each, each.state] as const);
    server.observed(outcome);
    if (this.#asked) {
      this.#elect();
      this.#measure(server);
      for (const [each, state] of before) this.#reportChange(each, state);
    }
    for (const wake of this.#electionWaiters) wake();
  }

  #electFrom(servers: readonly Server[]): Election {
    const elect = this.#options.topology === "static" ? trustNames : electPrimary;
    return elect(
      servers.map(({ view }) => view),
      this.#election,
    );
  }

  #elect(): void {
    const election = this.#electFrom(this.servers);
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
