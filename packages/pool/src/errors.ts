import { DbError, type DbErrorOptions } from "@db/core";

/** How far a statement came before its connection failed. */
export type StatementPhase =
  /** Making the connection: nothing was sent. */
  | "connect"
  /** Waiting for its turn: nothing was sent. */
  | "unsent"
  /** Sent, and the server has answered nothing yet. */
  | "sent"
  /** The server has begun to answer. */
  | "started"
  /** The server said the command is complete; its transaction may still have been open. */
  | "completed"
  /** COMMIT was sent and its answer never came. */
  | "commit";

/** Options that contradict each other or cannot be. All problems are told at once. */
export class InvalidPoolOptionsError extends DbError {
  override readonly code = "POOL_INVALID_OPTIONS";
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`the pool's options cannot be used: ${problems.join("; ")}`, {
      hint: "Correct every option named here; none was changed silently.",
    });
    this.problems = problems;
  }
}

/** What the pool looked like when an acquire gave up. */
export interface AcquireTimeoutFacts {
  readonly server: string;
  readonly waitedMs: number;
  readonly max: number;
  readonly checkedOut: number;
  readonly idle: number;
  readonly connecting: number;
  readonly waiting: number;
  /** Where the longest borrower took its connection; known while leak reports are on. */
  readonly oldestStack?: string;
  readonly oldestHeldMs?: number;
}

/** No connection became free within `acquireTimeoutMs`. */
export class AcquireTimeoutError extends DbError {
  override readonly code = "POOL_ACQUIRE_TIMEOUT";
  override readonly retryable = true;
  readonly facts: AcquireTimeoutFacts;
  /** `inPgWords`: for whoever set pg's own time-out, and may look for what pg says then. */
  constructor(facts: AcquireTimeoutFacts, { inPgWords = false }: { readonly inPgWords?: boolean } = {}) {
    const { server, waitedMs, max, checkedOut, connecting, waiting, oldestHeldMs } = facts;
    const counts = `${checkedOut}/${max} checked out, ${connecting} connecting, ${waiting} waiting`;
    const oldest = oldestHeldMs === undefined ? "" : `; the oldest for ${Math.round(oldestHeldMs)} ms`;
    const happened = `no connection to ${server} after ${Math.round(waitedMs)} ms (${counts}${oldest})`;
    const todo =
      checkedOut >= max
        ? "Look at pool.leaks() for connections held too long before raising max."
        : "Look at pool.health(): the server takes long to accept connections.";
    super(inPgWords ? "timeout exceeded when trying to connect" : `acquire timeout: ${happened}`, {
      hint: inPgWords ? `There was ${happened}. ${todo}` : todo,
    });
    this.facts = facts;
  }
}

/** The queue for connections is as long as `maxWaiting` allows. */
export class PoolSaturatedError extends DbError {
  override readonly code = "POOL_SATURATED";
  override readonly retryable = true;
  constructor({ server, waiting }: { server: string; waiting: number }) {
    super(`${waiting} callers already wait for a connection to ${server}`, {
      hint: "Shed load or raise max; raise maxWaiting only where latency may grow.",
    });
  }
}

/** The pool is draining or has ended. */
export class PoolClosedError extends DbError {
  override readonly code = "POOL_CLOSED";
  constructor(message = "cannot use a pool after calling end on the pool") {
    super(message, { hint: "Stop the callers before the pool, or make a new pool." });
  }
}

/** A connection was not ready within `connectTimeoutMs`: name look-up, TCP, TLS and authentication together. */
export class ConnectTimeoutError extends DbError {
  override readonly code = "POOL_CONNECT_TIMEOUT";
  override readonly retryable = true;
  readonly server: string;
  constructor({ server, timeoutMs }: { server: string; timeoutMs: number }) {
    super(`connect timeout: no connection to ${server} within ${timeoutMs} ms`, {
      hint: "Check that the server is reachable from here; a firewall that drops packets looks like this.",
    });
    this.server = server;
  }
}

/** The connection broke while a statement was on it. `phase` says how far the statement came. */
export class ConnectionLostError extends DbError {
  override readonly code = "POOL_CONNECTION_LOST";
  override readonly retryable: boolean;
  readonly phase: StatementPhase;
  readonly server: string;
  constructor({ server, phase, cause }: { server: string; phase: StatementPhase; cause: unknown }) {
    const unsent = phase === "connect" || phase === "unsent";
    super(`connection to ${server} lost, the statement was ${unsent ? "not sent" : "sent and may have run"}`, {
      cause,
      hint: unsent
        ? "Try again."
        : "Check whether the statement took effect, or mark it idempotent to have it retried.",
    });
    this.phase = phase;
    this.server = server;
    this.retryable = unsent;
  }
}

/** A server stopped answering its probes, so its connections were closed. The cause of a `ConnectionLostError`. */
export class ServerUnresponsiveError extends DbError {
  override readonly code = "POOL_SERVER_UNRESPONSIVE";
  override readonly retryable = true;
  constructor({ server, forMs }: { server: string; forMs: number }) {
    super(`${server} has answered no probe for ${Math.round(forMs)} ms`, {
      hint: "Look at the server and the network.",
    });
  }
}

/** The circuit breaker of a server is open: nothing is sent until its probe or a trial succeeds. */
export class CircuitOpenError extends DbError {
  override readonly code = "POOL_CIRCUIT_OPEN";
  override readonly retryable = true;
  readonly server: string;
  constructor(server: string, options: DbErrorOptions = {}) {
    const reason = options.cause instanceof Error ? options.cause.message : "repeated failures";
    super(`the circuit to ${server} is open: ${reason}`, {
      hint: "Look at pool.health() for the reason; it closes by itself when the server answers again.",
      ...options,
    });
    this.server = server;
  }
}

/** What was seen of a server that could not be used. */
export interface ServerEvidence {
  readonly server: string;
  /** `unreachable: connection refused`, `in recovery on timeline 3`, `lags 12000 ms` … */
  readonly seen: string;
}

/** No server accepts writes. `servers` says what each one was instead. */
export class NoPrimaryError extends DbError {
  override readonly code = "POOL_NO_PRIMARY";
  override readonly retryable = true;
  readonly servers: readonly ServerEvidence[];
  constructor(servers: readonly ServerEvidence[], options: DbErrorOptions = {}) {
    super(`no server accepts writes (${describe(servers)})`, {
      hint: "Promote a standby or start the primary; the pool finds it by itself.",
      ...options,
    });
    this.servers = servers;
  }
}

/** No replica may serve reads and reading from the primary was not allowed. */
export class NoReplicaError extends DbError {
  override readonly code = "POOL_NO_REPLICA";
  override readonly retryable = true;
  readonly servers: readonly ServerEvidence[];
  constructor(servers: readonly ServerEvidence[]) {
    super(`no replica can serve reads (${describe(servers)})`, {
      hint: 'Look at pool.stats().servers, or read with target "any".',
    });
    this.servers = servers;
  }
}

/** The servers are not one primary and its standbys. */
export class TopologyRefusedError extends DbError {
  override readonly code = "POOL_TOPOLOGY_REFUSED";
  readonly servers: readonly ServerEvidence[];
  constructor(servers: readonly ServerEvidence[]) {
    super(`the servers are not one primary and its standbys (${describe(servers)})`, {
      hint: "Correct primaryUrl and replicaUrls, or stop the server that does not belong.",
    });
    this.servers = servers;
  }
}

/** A statement ran longer than `timeoutMs` and was cancelled on the server. */
export class QueryTimeoutError extends DbError {
  override readonly code = "POOL_QUERY_TIMEOUT";
  readonly timeoutMs: number;
  /** False when the server did not confirm in time and the connection was destroyed instead. */
  readonly cancelled: boolean;
  constructor({ timeoutMs, cancelled, cause }: { timeoutMs: number; cancelled: boolean; cause: unknown }) {
    super(
      `query timeout after ${timeoutMs} ms, ${cancelled ? "cancelled on the server" : "the server did not confirm the cancel"}`,
      { cause, hint: "Look at the plan of the statement, or allow it more with timeoutMs." },
    );
    this.timeoutMs = timeoutMs;
    this.cancelled = cancelled;
  }
}

/** COMMIT was sent and the connection broke before its answer: it may or may not have taken effect. */
export class TransactionOutcomeUnknownError extends DbError {
  override readonly code = "POOL_TRANSACTION_OUTCOME_UNKNOWN";
  readonly server: string;
  /** The transaction's id where `resolveOutcome` asked for it; `pg_xact_status` on the same server can tell. */
  readonly transactionId: string | undefined;
  constructor(of: { server: string; transactionId?: string | undefined; cause: unknown }) {
    super(`connection to ${of.server} lost while committing: the outcome is unknown`, {
      cause: of.cause,
      hint: "Read back what the transaction wrote before running it again.",
    });
    this.server = of.server;
    this.transactionId = of.transactionId;
  }
}

/** COMMIT ended in ROLLBACK: a statement had failed and its error was swallowed inside the callback. */
export class TransactionRolledBackError extends DbError {
  override readonly code = "POOL_TRANSACTION_ROLLED_BACK";
  constructor(options: DbErrorOptions = {}) {
    super("the transaction was rolled back: a statement in it had failed", {
      hint: "Let the error leave the callback, or put the statement that may fail into a savepoint.",
      ...options,
    });
  }
}

/** A transaction or session used after its callback ended. */
export class SessionEndedError extends DbError {
  override readonly code = "POOL_SESSION_ENDED";
  constructor() {
    super("this session has ended and its connection was given back", {
      hint: "Await every query inside the callback.",
    });
  }
}

/** `release` was called twice for one checkout. */
export class DoubleReleaseError extends DbError {
  override readonly code = "POOL_DOUBLE_RELEASE";
  constructor() {
    super("release called on a client which has already been released to the pool", {
      hint: "Release once, in a finally block, or use withSession.",
    });
  }
}

function describe(servers: readonly ServerEvidence[]): string {
  return servers.map(({ server, seen }) => `${server}: ${seen}`).join("; ");
}

/** A bulk insert whose rows and columns do not fit each other or the table. */
export class InvalidBulkInsertError extends DbError {
  override readonly code = "POOL_INVALID_BULK_INSERT";
  constructor(message: string) {
    super(message, { hint: "Give each row one value for each column named, in their order." });
  }
}

/** Options of a topology provider that cannot be used. All problems are told at once. */
export class InvalidProviderOptionsError extends DbError {
  override readonly code = "POOL_INVALID_PROVIDER_OPTIONS";
  readonly problems: readonly string[];
  constructor(provider: string, problems: readonly string[]) {
    super(`the options of ${provider} cannot be used: ${problems.join("; ")}`, {
      hint: "Correct every option named here.",
    });
    this.problems = problems;
  }
}

/** Nobody could say which servers there are. The pool logs it and goes on with those it knows. */
export class ProviderError extends DbError {
  override readonly code = "POOL_PROVIDER_FAILED";
  override readonly retryable = true;
  constructor(provider: string, failures: readonly string[]) {
    super(`${provider} does not say which servers there are (${failures.join("; ")})`, {
      hint: "Check that its API is reachable from here.",
    });
  }
}

/** The server left the topology while a connection to it was waited for: the work goes to another one. */
export class ServerLeftError extends DbError {
  override readonly code = "POOL_SERVER_LEFT";
  override readonly retryable = true;
  constructor(server: string) {
    super(`${server} left the topology`, { hint: "Try again: another server serves it." });
  }
}

/** The pool stayed paused for as long as an acquire may take. */
export class PoolPausedError extends DbError {
  override readonly code = "POOL_PAUSED";
  override readonly retryable = true;
  constructor({ waitedMs }: { waitedMs: number }) {
    super(`the pool is paused, waited ${waitedMs} ms`, { hint: "Call pool.resume(), or raise acquireTimeoutMs." });
  }
}

/** A statement through `pool.query` would have changed the session of whoever has the connection next. */
export class SessionStateError extends DbError {
  override readonly code = "POOL_SESSION_STATE";
  /** `SET`, `LISTEN`, `BEGIN` … */
  readonly change: string;
  constructor(change: string) {
    super(`${change} changes its session, and pool.query has none of its own`, {
      hint: 'Use pool.withSession, pool.withTransaction or pool.listen; sessionState "keep" allows it as pg does.',
    });
    this.change = change;
  }
}

/** One call asked for what cannot be; nothing was sent. */
export class InvalidCallOptionsError extends DbError {
  override readonly code = "POOL_INVALID_CALL_OPTIONS";
  /** Every one found. */
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`the options of the call cannot be followed: ${problems.join("; ")}`, {
      hint: "Correct every option named here; nothing was sent.",
    });
    this.problems = problems;
  }
}

/** A setting whose name or value cannot be one. */
export class InvalidSettingError extends DbError {
  override readonly code = "POOL_INVALID_SETTING";
  constructor(name: string, problem: string) {
    super(`the setting ${JSON.stringify(name)} ${problem}`, {
      hint: 'Name it as in postgresql.conf, "app.tenant" or "work_mem", and give its value as text.',
    });
  }
}

/** What was given as a session token is none. */
export class InvalidSessionTokenError extends DbError {
  override readonly code = "POOL_INVALID_SESSION_TOKEN";
  constructor(problem: string) {
    super(`the session token cannot be used: ${problem}`, {
      hint: "Pass on what session.token or encodeSessionToken gave, unchanged.",
    });
  }
}

/** A connection held past `leakThresholdMs` was taken back. The cause of what its holder sees fail afterwards. */
export class ConnectionReclaimedError extends DbError {
  override readonly code = "POOL_CONNECTION_RECLAIMED";
  constructor({ heldMs }: { heldMs: number }) {
    super(`the connection was held idle for ${Math.round(heldMs)} ms and taken back`, {
      hint: "Release it in a finally block, or use withSession and withTransaction.",
    });
  }
}

/** Options of a cache that cannot be used. All problems are told at once. */
export class InvalidCacheOptionsError extends DbError {
  override readonly code = "POOL_INVALID_CACHE_OPTIONS";
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`the cache's options cannot be used: ${problems.join("; ")}`, { hint: "Correct every option named here." });
    this.problems = problems;
  }
}

/** The database is away, and no answer that is kept is recent enough. The cause says in which way it is away. */
export class OfflineError extends DbError {
  override readonly code = "POOL_OFFLINE";
  override readonly retryable = true;
  /** Undefined when there never was an answer. */
  readonly lastAnswerAgeMs: number | undefined;
  constructor(of: { lastAnswerAgeMs: number | undefined; offlineMs: number; cause: unknown }) {
    const { lastAnswerAgeMs, offlineMs, cause } = of;
    const last =
      lastAnswerAgeMs === undefined
        ? "there is no earlier answer"
        : `the last answer is ${Math.round(lastAnswerAgeMs)} ms old, over ${offlineMs} ms`;
    super(`the database is away and ${last}`, { cause, hint: "Look at pool.health(); try again when it passes." });
    this.lastAnswerAgeMs = lastAnswerAgeMs;
  }
}
