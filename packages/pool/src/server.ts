import { parseLsn } from "@db/core";
import { Breaker, type BreakerState } from "./breaker.ts";
import { cancelBackend } from "./cancel.ts";
import type { Connection } from "./connection.ts";
import type { ConnectionsListener } from "./connection-events.ts";
import { Connections } from "./connections.ts";
import { ServerUnresponsiveError } from "./errors.ts";
import { LaneExecutor } from "./lane-executor.ts";
import type { Lag } from "./lag.ts";
import type { Observation, Refusal, ServerView } from "./observation.ts";
import type { ResolvedPoolOptions } from "./options.ts";
import { Probe, type ProbeOutcome } from "./probe.ts";
import type { ServerSpec } from "./server-spec.ts";
import type { StatementHost } from "./statement.ts";

export type ServerRole = "primary" | "standby" | "unknown";

/** `suspect`: the last probe went unanswered. `down`: refused or silent for long. `refused`: it does not belong. */
export type ServerState = "up" | "suspect" | "down" | "refused";

/** What a server tells the pool. */
export interface ServerListener extends ConnectionsListener {
  breakerChanged(server: Server, state: BreakerState): void;
  statementFinished: StatementHost["finished"];
  statementStopped: StatementHost["stopped"];
}

/** One server: its connections, its circuit, and what its probe knows of it. */
export class Server {
  readonly spec: ServerSpec;
  readonly name: string;
  readonly connections: Connections;
  readonly breaker: Breaker;
  readonly executor: LaneExecutor;
  readonly statements: StatementHost;
  readonly probe: Probe;
  observation: Observation | undefined;
  /** The last probe that failed, in words; undefined after a good one. */
  failure: string | undefined;
  lag: Lag | undefined;
  refusal: Refusal | undefined;
  /** True while the provider of the topology takes it for the primary. */
  named = false;
  /** Share of reads compared with other replicas. */
  weight: number;
  readonly #failureThreshold: number;
  #replayed = 0n;
  #silent = 0;
  #silentSince = 0;
  #reachable = true;
  #wasStandby = false;
  readonly #trusted: "primary" | "replica" | undefined;
  #inRecovery: boolean | undefined;

  constructor(spec: ServerSpec, options: ResolvedPoolOptions, listener: ServerListener) {
    this.spec = spec;
    this.name = spec.address.name;
    this.weight = spec.weight;
    this.#trusted = options.topology === "static" ? spec.configuredRole : undefined;
    this.#failureThreshold = options.probeFailureThreshold;
    this.breaker = new Breaker(this.name, options.circuitBreaker, (state) => listener.breakerChanged(this, state));
    this.probe = new Probe(spec, {
      timeoutMs: options.probeTimeoutMs,
      connectTimeoutMs: options.connectTimeoutMs,
    });
    this.connections = new Connections({
      server: this.name,
      options,
      listener,
      spec,
    });
    this.statements = {
      cancelTimeoutMs: options.cancelTimeoutMs,
      cancel: (connection) => this.#cancel(connection, options.cancelTimeoutMs),
      finished: (of) => listener.statementFinished(of),
      stopped: (why) => listener.statementStopped(why),
    };
    this.executor = new LaneExecutor(this.connections, options, this.statements);
  }

  get role(): ServerRole {
    if (this.#trusted !== undefined) return this.#trusted === "primary" ? "primary" : "standby";
    return this.#inRecovery === undefined ? "unknown" : this.#inRecovery ? "standby" : "primary";
  }

  get state(): ServerState {
    if (this.refusal) return "refused";
    return !this.#reachable ? "down" : this.#silent > 0 ? "suspect" : "up";
  }

  /** Callers at work or waiting: what balancing looks at. */
  get inFlight(): number {
    return this.connections.checkedOut + this.connections.waiting + this.executor.extraInFlight;
  }

  get view(): ServerView {
    return {
      name: this.name,
      configuredRole: this.spec.configuredRole,
      reachable: this.#reachable,
      observation: this.observation,
      wasStandby: this.#wasStandby,
      named: this.named,
      failure: this.failure,
    };
  }

  /** True when it is known to have replayed at least this, on the timeline it belongs to. */
  hasReplayed({ timeline, lsn }: { readonly timeline: number; readonly lsn: string }): boolean {
    return this.observation?.timeline === timeline && this.#replayed >= parseLsn(lsn);
  }

  /** Notes a position it was seen to have replayed. On one timeline it only grows. */
  replayedTo(lsn: string): void {
    const position = parseLsn(lsn);
    if (position > this.#replayed) this.#replayed = position;
  }

  /** Takes in what a probe found. */
  observed(outcome: ProbeOutcome): void {
    if ("observation" in outcome) {
      if (this.#inRecovery) this.#wasStandby = true;
      this.#inRecovery = outcome.observation.inRecovery;
      if (this.observation?.timeline !== outcome.observation.timeline) this.#replayed = 0n;
      this.observation = outcome.observation;
      // Taken as it is, though it were less: a standby may have been made anew from an older copy.
      if (outcome.observation.inRecovery) this.#replayed = parseLsn(outcome.observation.lsn ?? "0/0");
      this.#silent = 0;
      this.#reachable = true;
      this.failure = undefined;
      this.breaker.close();
      return;
    }
    this.failure = outcome.reason;
    this.#replayed = 0n;
    if (outcome.failure === "error") {
      // It answers, so it lives; what it said before still holds.
      this.#silent = 0;
      return;
    }
    if (outcome.failure === "silent") {
      if (this.#silent === 0) this.#silentSince = performance.now();
      this.#silent += 1;
      if (this.#silent < this.#failureThreshold) return;
      const forMs = performance.now() - this.#silentSince;
      const cause = new ServerUnresponsiveError({ server: this.name, forMs });
      this.connections.abortAll(cause);
      this.breaker.open(cause);
    } else this.breaker.open(new Error(outcome.reason));
    this.#reachable = false;
  }

  /** The election found that the server changed sides or was settled; a fresh promotion counts once. */
  settled(): void {
    this.#wasStandby = this.#inRecovery === true;
  }

  /** It left the topology: it lends no more, and closes when what runs on it has ended. */
  async leave(): Promise<void> {
    await Promise.all([this.connections.drain(), this.probe.end()]);
    this.breaker.shutdown();
  }

  async #cancel(connection: Connection, timeoutMs: number): Promise<void> {
    const { backend, encrypted } = connection;
    if (backend) await cancelBackend(this.spec, { ...backend, encrypted }, timeoutMs);
    else connection.destroySocket();
  }
}
