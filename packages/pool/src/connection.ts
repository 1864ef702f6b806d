import type pg from "pg";
import { BorrowedClient, type StandingClient } from "./borrowed-client.ts";
import type { StatementPhase } from "./errors.ts";
import { type PgRecord, PreparedStatements } from "./prepared-statements.ts";
import type { Wire } from "./wire.ts";

/** Parts of pg's client the pool reads; a client class of another make may lack them. */
interface ClientInternals {
  readonly connection?: PgRecord & {
    readonly stream?: { destroy(): void; readonly destroyed?: boolean };
    on?: OnMessage;
    close?(of: { type: "S"; name: string }): void;
  };
  readonly _queryable?: boolean;
  readonly _ending?: boolean;
  readonly _ended?: boolean;
  readonly readyForQuery?: boolean;
  readonly processID?: number | null;
  readonly secretKey?: number | null;
  readonly hasExecuted?: boolean;
  readonly ssl?: unknown;
  getTransactionStatus?(): "I" | "T" | "E" | null;
  ref?(): void;
  unref?(): void;
}
type OnMessage = (message: string, listener: (message?: { readonly text: string }) => void) => void;

/** Commands after which a statement that is prepared may mean something else. A DO block may hold any of them. */
const changesSchema = /^(?:ALTER|DROP|DO\b)/;

/** Who holds a connection, since when, and where it was taken. */
export interface Checkout {
  readonly since: number;
  /** Captured while leak reports are on. */
  readonly stack: string | undefined;
  /** True when application code holds the connection, false for the length of one of the pool's own statements. */
  readonly borrowed: boolean;
  /** True while statements share it. */
  readonly shared: boolean;
}

/** One connection of a server: pg's client, and what the pool knows about it. */
export class Connection {
  readonly client: pg.PoolClient;
  /** Its one handle, where the pool has one for each connection. */
  readonly standing: StandingClient | undefined;
  readonly server: string;
  /** Connections of an earlier generation retire when they come back. */
  readonly generation: number;
  readonly createdAt: number;
  /** When it is to be replaced. `Infinity` never. */
  readonly expiresAt: number;
  idleSince = 0;
  uses = 0;
  phase: StatementPhase = "unsent";
  checkout: Checkout | undefined;
  /** The statement last sent, without its literals; shown in leak reports. */
  lastStatement: string | undefined;
  idleTimer: NodeJS.Timeout | undefined;
  lifetimeTimer: NodeJS.Timeout | undefined;
  closing = false;
  readonly statements: PreparedStatements;
  /** Its socket, where lanes may use it. */
  readonly wire: Wire | undefined;
  /** Told when a command on it may have changed what prepared statements mean. */
  schemaChanged: () => void = () => undefined;
  /** Told when the server sent what is no message; the connection is closed by then. */
  garbled: () => void = () => undefined;
  #changedSchema = false;
  /** Why the pool or the network broke it, where known better than by the driver. */
  brokenBy: Error | undefined;

  constructor(
    client: pg.Client,
    of: {
      server: string;
      generation: number;
      createdAt: number;
      expiresAt: number;
      wire?: Wire | undefined;
      standing?: boolean;
    },
  ) {
    this.client = client as pg.PoolClient;
    this.standing = of.standing ? BorrowedClient.standing(this.client) : undefined;
    this.server = of.server;
    this.generation = of.generation;
    this.createdAt = of.createdAt;
    this.expiresAt = of.expiresAt;
    this.wire = of.wire;
    if (of.wire) of.wire.desynchronized = () => this.#desynchronized();
    this.statements = new PreparedStatements(this.#internals.connection ?? {});
    const on = this.#internals.connection?.on?.bind(this.#internals.connection);
    const started = (): void => void (this.phase = "started");
    on?.("bindComplete", started);
    on?.("rowDescription", started);
    on?.("copyInResponse", started);
    on?.("commandComplete", (message) => {
      this.phase = "completed";
      if (message) this.#noteCommand(message.text);
    });
  }

  /** Tells of it by the client that the pool's events show. */
  show(to: (client: pg.PoolClient) => void): void {
    if (this.standing) this.standing.show(to);
    else to(this.client);
  }

  get #internals(): ClientInternals {
    return this.client as unknown as ClientInternals;
  }

  #desynchronized(): void {
    this.brokenBy ??= new Error("received what is no message of PostgreSQL's");
    this.destroySocket();
    this.garbled();
  }

  /** What a transaction changes, others see from its COMMIT on. */
  #noteCommand(tag: string): void {
    const changed = changesSchema.test(tag);
    if (!changed && !(this.#changedSchema && tag === "COMMIT")) return;
    this.#changedSchema = changed;
    this.schemaChanged();
  }

  /** False once the socket is gone or the client has been ended. */
  get usable(): boolean {
    const { _queryable, _ending, _ended, connection } = this.#internals;
    return _queryable !== false && !_ending && !_ended && connection?.stream?.destroyed !== true;
  }

  /** True while a statement is running or queued on it. */
  get busy(): boolean {
    const { readyForQuery, hasExecuted } = this.#internals;
    return hasExecuted === true && readyForQuery === false;
  }

  /** True when it uses TLS. */
  get encrypted(): boolean {
    return Boolean(this.#internals.ssl);
  }

  /** True inside a transaction block, failed or not. */
  get inTransaction(): boolean {
    const status = this.#internals.getTransactionStatus?.();
    return status === "T" || status === "E";
  }

  get backend(): { readonly processId: number; readonly secretKey: number } | undefined {
    const { processID, secretKey } = this.#internals;
    return typeof processID === "number" && typeof secretKey === "number"
      ? { processId: processID, secretKey }
      : undefined;
  }

  /** Tells the server to forget a prepared statement, with the next statement that is sent. */
  closePrepared(name: string): void {
    this.#internals.connection?.close?.({ type: "S", name });
  }

  /** Closes the socket at once; whatever runs on it fails. */
  destroySocket(): void {
    this.#internals.connection?.stream?.destroy();
  }

  ref(): void {
    this.#internals.ref?.();
  }

  unref(): void {
    this.#internals.unref?.();
  }
}
