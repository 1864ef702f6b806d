import { type Clock, isDbError } from "@db/core";
import { classifyError, type ErrorClass } from "./classify.ts";
import { NoPrimaryError, NoReplicaError, type ServerEvidence } from "./errors.ts";
import { StatementFailure, unwrapFailure } from "./failure.ts";
import type { Gate } from "./gate.ts";
import { describeView } from "./observation.ts";
import type { ResolvedPoolOptions, RetryOptions } from "./options.ts";
import { retryAfter, RetryBudget, type RetryDecision, type RetryPlan, withRetries } from "./retry.ts";
import { type Balancer, createBalancer } from "./balance.ts";
import { chooseReplica, type Target, unfitness } from "./routing.ts";
import type { Server } from "./server.ts";
import type { Topology } from "./topology.ts";

/** Work for a server, and what may be done when it fails. */
export interface Job<T> {
  readonly target: Target;
  /** True when running it twice does no harm. On a standby everything is. */
  readonly idempotent: boolean;
  /** True when a read-only refusal is the caller's own doing. */
  readonly readOnly?: boolean;
  readonly signal: AbortSignal | undefined;
  /** Replaces the pool's number of retries. */
  readonly retries?: number | undefined;
  /** Only these servers may serve it, as far as the target allows; absent, all. */
  mayUse?(server: Server): boolean;
  work(server: Server, attempt: number): Promise<T>;
}

/** How the runner's decisions are counted. */
export interface RunnerListener {
  retried(of: {
    server: string | undefined;
    attempt: number;
    kind: ErrorClass["kind"];
    sqlState: string | undefined;
  }): void;
}

/** Finds the server for each piece of work, guards it by the breaker, and tries again where that is safe. */
export class Runner {
  readonly #topology: Topology;
  readonly #options: ResolvedPoolOptions;
  readonly #clock: Clock;
  readonly #budget: RetryBudget | undefined;
  readonly #listener: RunnerListener;
  readonly #balance: Balancer;
  readonly #gate: Gate;

  constructor(topology: Topology, options: ResolvedPoolOptions, gate: Gate, listener: RunnerListener) {
    this.#gate = gate;
    this.#topology = topology;
    this.#options = options;
    this.#clock = options.clock;
    this.#budget = options.retry ? new RetryBudget(options.retry) : undefined;
    this.#listener = listener;
    this.#balance = createBalancer(options.loadBalance);
  }

  /** @throws what the last attempt threw, without the package's own wrapping */
  run<T>(job: Job<T>): Promise<T> {
    if (!this.#gate.isOpen) return this.#gate.pass(job.signal).then(() => this.run(job));
    this.#budget?.earn();
    const trail: Trail = { tried: new Set(), server: undefined, since: this.#clock.now(), waitedFor: undefined };
    // What nearly always happens: the server is known and well, and the first attempt succeeds.
    const server = this.#topology.only ?? (job.target === "primary" ? this.#topology.settledPrimary : undefined);
    if (!server?.breaker.pass()) return this.#attempts(job, trail);
    trail.server = server;
    return job.work(server, 1).catch((error: unknown) => {
      server.breaker.failed(error);
      return this.#attempts(job, trail, { error });
    });
  }

  /** Runs all attempts, or those after a first one that failed. */
  async #attempts<T>(job: Job<T>, trail: Trail, first?: { readonly error: unknown }): Promise<T> {
    const { retry } = this.#options;
    const attempt = async (number: number): Promise<T> => {
      const server = this.#topology.only ?? (await this.#route(job, trail));
      trail.server = server;
      return await server.breaker.run(() => job.work(server, number));
    };
    const plan = (options: Required<RetryOptions>): RetryPlan => ({
      options: { ...options, retries: job.retries ?? options.retries },
      clock: this.#clock,
      signal: job.signal,
      decide: (error, number) => this.#decide(error, number, job, trail),
      retried: (error, number) => {
        const { kind, sqlState } = verdictOf(error);
        this.#listener.retried({ server: trail.server?.name, attempt: number, kind, sqlState });
      },
    });
    try {
      if (!retry) {
        if (first) throw first.error;
        return await attempt(1);
      }
      return await (first ? retryAfter(first.error, attempt, plan(retry)) : withRetries(attempt, plan(retry)));
    } catch (error) {
      throw unwrapFailure(error);
    }
  }

  async #route(job: Job<unknown>, trail: Trail): Promise<Server> {
    await this.#topology.start();
    if (job.target === "primary") return await this.#primary(job, trail);
    const usable = (server: Server): boolean => !trail.tried.has(server) && (job.mayUse?.(server) ?? true);
    const replicas = this.#topology.servers.filter(usable);
    const { primary } = this.#topology;
    if (job.target === "any") {
      const fit = replicas.filter((server) => server === primary || !unfitness(server, this.#options));
      return this.#balance(fit) ?? (await this.#primary(job, trail));
    }
    const { mode } = this.#options.route;
    const fallsBack = this.#options.replicaFallback === "primary" && primary !== undefined;
    const replica = chooseReplica(replicas, this.#options, !fallsBack, this.#balance);
    if (replica) return replica;
    if (this.#options.replicaFallback === "error") {
      // libpq's `read-only` is content with a primary whose sessions may not write.
      if (mode === "read-only" && primary?.observation?.readOnly) return primary;
      throw new NoReplicaError(evidenceOf(this.#topology, this.#options));
    }
    return await this.#primary(job, trail);
  }

  async #primary({ signal }: Job<unknown>, trail: Trail): Promise<Server> {
    const { primary, hadPrimary } = this.#topology;
    const refused = this.#options.route.mode === "read-write" && primary?.observation?.readOnly;
    if (refused) throw new NoPrimaryError([{ server: primary.name, seen: "sessions there are read-only by default" }]);
    if (primary) return primary;
    const found = hadPrimary ? await this.#awaitPrimary(undefined, signal, trail) : undefined;
    if (found) return found;
    throw new NoPrimaryError(evidenceOf(this.#topology, this.#options));
  }

  async #decide(error: unknown, attempt: number, job: Job<unknown>, trail: Trail): Promise<RetryDecision> {
    const { kind, retry, sqlState } = verdictOf(error);
    const { server } = trail;
    if (job.signal?.aborted || retry === "never") return "no";
    // On a standby nothing can have been written.
    if (retry === "idempotent" && !job.idempotent && server?.role !== "standby") return "no";
    if (kind === "stale-plan") return attempt <= this.#options.max ? "now" : "no";
    if (kind === "transient") return this.#spend();
    const only = this.#topology.only ?? this.#believed(job, server);
    if (only) {
      if (kind === "wrong-role") return this.#options.topology === "static" && !job.readOnly ? this.#spend() : "no";
      // Work that finds the circuit open fails fast; work that was under way when it opened waits its turn.
      if (isDbError(error, "POOL_CIRCUIT_OPEN") && attempt === 1) return "no";
      // A server never reached is more likely misnamed than away, unless it said itself that it is starting or full.
      if (only.connections.counters.opened === 0 && sqlState === undefined) return "no";
      return this.#spend();
    }
    if (job.target !== "primary") {
      // A write sent to a replica is the caller's mistake, not a failover.
      if (kind === "wrong-role") return "no";
      if (server) trail.tried.add(server);
      void this.#topology.recheck();
      return this.#spend() === "no" ? "no" : "now";
    }
    if (kind === "wrong-role" && this.#options.topology === "static") return job.readOnly ? "no" : this.#spend();
    if (kind === "wrong-role" && (await this.#isReallyPrimary(job, server))) return "no";
    return await this.#afterFailedPrimary(server, job, trail);
  }

  /** The primary that was named, where no probe will ever say that it is well again or that another took over. */
  #believed(job: Job<unknown>, server: Server | undefined): Server | undefined {
    return this.#options.probeIntervalMs === false && job.target === "primary" ? server : undefined;
  }

  /** A read-only refusal from a server that is no standby is a setting or a read-only transaction, not a failover. */
  async #isReallyPrimary(job: Job<unknown>, server: Server | undefined): Promise<boolean> {
    if (job.readOnly) return true;
    await this.#topology.recheck();
    return server !== undefined && this.#topology.primary === server;
  }

  async #afterFailedPrimary(server: Server | undefined, job: Job<unknown>, trail: Trail): Promise<RetryDecision> {
    // Found well by its probe and failing again all the same: no failover, so it is paced and counted.
    if (server !== undefined && trail.waitedFor === server) {
      trail.waitedFor = undefined;
      return this.#spend();
    }
    trail.waitedFor = server;
    return (await this.#awaitPrimary(server, job.signal, trail)) ? "now" : "no";
  }

  async #awaitPrimary(
    failed: Server | undefined,
    signal: AbortSignal | undefined,
    trail: Trail,
  ): Promise<Server | undefined> {
    const { failoverTimeoutMs } = this.#options;
    if (failoverTimeoutMs === false) return undefined;
    const timeoutMs = failoverTimeoutMs - (this.#clock.now() - trail.since);
    return timeoutMs > 0 ? await this.#topology.waitForPrimary({ failed, timeoutMs, signal }) : undefined;
  }

  #spend(): RetryDecision {
    return this.#budget?.spend() ? "backoff" : "no";
  }
}

/** What each server is, for an error that none of them could serve. */
export function evidenceOf(topology: Topology, options: ResolvedPoolOptions): ServerEvidence[] {
  return topology.servers.map((server) => ({
    server: server.name,
    seen: server.refusal?.seen ?? describeServer(server, options),
  }));
}

/** What happened to one piece of work so far. */
interface Trail {
  readonly tried: Set<Server>;
  server: Server | undefined;
  readonly since: number;
  /** The failed primary a new one was awaited for. */
  waitedFor: Server | undefined;
}

function describeServer(server: Server, options: ResolvedPoolOptions): string {
  const what = describeView(server.view);
  const unfit = server.role === "standby" && server.state === "up" ? unfitness(server, options) : undefined;
  return unfit === undefined ? what : `${what}, ${unfit}`;
}

function verdictOf(error: unknown): ErrorClass {
  if (error instanceof StatementFailure) return error.verdict;
  if (isDbError(error, "POOL_CIRCUIT_OPEN") || isDbError(error, "POOL_SERVER_LEFT"))
    return { kind: "connection", retry: "always", evict: false };
  // What did not come from a statement came from routing or connecting: nothing was sent.
  return classifyError(error, { phase: "connect" });
}
