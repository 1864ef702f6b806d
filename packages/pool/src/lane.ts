import { sqlStateOf } from "@db/core";
import type pg from "pg";
import type { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import type { StatementPhase } from "./errors.ts";
import { StatementFailure } from "./failure.ts";
import { InFlight } from "./in-flight.ts";
import { LaneBound } from "./lane-bound.ts";
import type { PreparedStatement } from "./prepared-statements.ts";
import { readTag, type TypeParsers } from "./row-shape.ts";
import type { RoundTrip } from "./round-trip.ts";
import type { StatementProfile } from "./statement-profile.ts";
import { StatementWriter } from "./statement-writer.ts";
import { classifyStatementError, explain, type Statement, type StatementHost } from "./statement.ts";
import type { MessageReader, Wire } from "./wire.ts";

/** What a lane asks of those who opened it. */
export interface LaneOwner {
  readonly host: StatementHost;
  readonly connections: Pick<Connections, "shareBegan" | "shareEnded">;
  /** Most statements of the pool's own that are kept prepared on one connection. */
  readonly mostPrepared: number;
  /** The bound of every statement that shares a connection. */
  readonly timeoutMs: number | false;
  readonly roundTrip: RoundTrip;
  /** One is answered. */
  answered(lane: Lane): void;
  /** Everything is answered: the lane may be closed, or kept for more. */
  emptied(lane: Lane): void;
  /** The lane gave its connection up. */
  closed(lane: Lane, broken: Error | undefined): void;
}

/** What pg's client tells whoever runs its statement; a lane stands in for it. */
interface ActiveQuery {
  handleError(error: Error): void;
  handleRowDescription(message: { readonly fields: pg.FieldDef[] }): void;
  handleReadyForQuery(): void;
}

/** The fields of pg's client that say what it is doing. */
interface ClientState {
  _activeQuery: ActiveQuery | null;
  readyForQuery: boolean;
  hasExecuted: boolean;
  _txStatus: string | null;
  readonly _types: TypeParsers;
}

const message = {
  parseComplete: 0x31,
  bindComplete: 0x32,
  closeComplete: 0x33,
  commandComplete: 0x43,
  dataRow: 0x44,
  emptyQuery: 0x49,
  readyForQuery: 0x5a,
  noData: 0x6e,
} as const;

/** "I": outside of any transaction. */
const idleStatus = 0x49;

/**
 * A connection shared by several statements: each is sent without waiting for the answers to those before it, and what
 * is sent in one tick goes out in one write. Answers come in the order of the statements, and each is a transaction of
 * its own, so one that fails costs the others nothing.
 *
 * It writes and reads the protocol itself; errors, notices and whatever else is rare it leaves to pg's own parser.
 */
export class Lane implements MessageReader {
  readonly connection: Connection;
  readonly #owner: LaneOwner;
  readonly #wire: Wire;
  readonly #client: ClientState;
  readonly #writer = new StatementWriter();
  readonly #queue: InFlight[] = [];
  readonly #bound: LaneBound;
  /** How many statements were handed over, and how many of them reached the socket. */
  #taken = 0;
  #written = 0;
  /** How far the server is with the first in the queue, once it was written. */
  #headPhase: StatementPhase = "sent";
  /** When the first in the queue began to have the server for itself. */
  #headSince = 0;
  #flushing = false;
  /** The server ended the session in answer to one statement, so it began none of those behind it. */
  #ended = false;
  #broken: Error | undefined;
  #open = false;
  /** True while pg reads a message that came for the first in the queue. */
  #handing = false;
  readonly #standIn: ActiveQuery = {
    handleError: (error) => this.#told(error),
    handleRowDescription: ({ fields }) => this.#queue[0]?.described(fields),
    handleReadyForQuery: () => undefined,
  };

  constructor(connection: Connection, wire: Wire, owner: LaneOwner) {
    this.connection = connection;
    this.#wire = wire;
    this.#owner = owner;
    this.#client = connection.client as unknown as ClientState;
    this.#bound = new LaneBound(this, owner.host, owner.timeoutMs);
  }

  /**
   * Begins to take statements: the connection is the lane's until it is emptied.
   * @returns false when it cannot, because something else is under way on the connection
   */
  open(): boolean {
    if (this.connection.busy || !this.#wire.free) return false;
    this.#open = true;
    this.#wire.reader = this;
    const client = this.#client;
    client._activeQuery = this.#standIn;
    client.readyForQuery = false;
    client.hasExecuted = true;
    return true;
  }

  /** Gives the connection up, unless something is still under way. */
  closeEmpty(): void {
    if (this.#queue.length === 0 && !this.#bound.cancelling) this.#close();
  }

  /** The statement the server is working on. */
  get head(): object | undefined {
    return this.#queue[0];
  }

  get depth(): number {
    return this.#queue.length;
  }

  get usable(): boolean {
    return this.#open && !this.#broken && !this.#bound.cancelling && !this.#wire.congested && this.connection.usable;
  }

  get awaits(): boolean {
    return this.#queue.length > 0;
  }

  /** How long the statement it works on has had the server. */
  headMs(now: number): number {
    return this.#queue.length === 0 ? 0 : now - this.#headSince;
  }

  /**
   * Sends a statement, prepared under `name` where there is one.
   * @throws {StatementFailure}
   */
  run(
    statement: Statement,
    of: { readonly profile: StatementProfile; readonly name: string | undefined; readonly now: number },
  ): Promise<pg.QueryResult> {
    return new Promise((resolve, reject) => {
      try {
        this.#take(statement, of, resolve, reject);
      } catch (error) {
        // A value that cannot be sent, or a name that is another statement's.
        reject(new StatementFailure(error, classifyStatementError(error, { phase: "unsent" }, statement)));
      }
    });
  }

  /** One of the server's messages, which are about the first in the queue. */
  message(type: number, bytes: Buffer, start: number, end: number): void {
    const head = this.#queue[0]!;
    switch (type) {
      case message.dataRow:
        head.row(bytes, start);
        return;
      case message.bindComplete:
        this.#headPhase = "started";
        return;
      case message.commandComplete:
        this.#headPhase = "completed";
        head.tag = readTag(bytes, start, end);
        return;
      case message.readyForQuery:
        this.#answered(head, bytes[start]!);
        return;
      case message.parseComplete:
        head.parsing = false;
        if (head.prepared) this.connection.statements.parsed(head.prepared);
        return;
      case message.noData:
        head.described(undefined);
        return;
      case message.closeComplete:
      case message.emptyQuery:
        return;
      default:
        this.#handing = true;
        this.#wire.toPg(bytes.subarray(start - 5, end));
        this.#handing = false;
    }
  }

  #take(
    statement: Statement,
    { profile, name, now }: Parameters<Lane["run"]>[1],
    resolve: InFlight["resolve"],
    reject: InFlight["reject"],
  ): void {
    const { config } = statement;
    const plain = typeof config === "string";
    const text = plain ? config : config.text;
    const prepared = name === undefined ? undefined : this.#prepared(name, text, name === profile.preparedName);
    const types = this.#client._types;
    const place = new InFlight({
      statement,
      profile,
      prepared,
      number: this.#taken,
      since: now,
      types,
      resolve,
      reject,
    });
    this.#write(place, text, statement.values ?? (plain ? undefined : config.values) ?? []);
    this.#taken += 1;
    this.connection.lastStatement = text;
    if (this.#queue.push(place) === 1) {
      this.#nextHead(now);
      this.#bound.began();
    }
    this.#owner.connections.shareBegan(this.connection);
    if (this.#flushing) return;
    this.#flushing = true;
    process.nextTick(this.#flush);
  }

  /** Finds what the connection has prepared under a name, and makes room for what it has not. */
  #prepared(name: string, text: string, own: boolean): PreparedStatement {
    const { statements } = this.connection;
    const prepared = statements.use(name, text, own);
    if (!prepared) throw new Error(`Prepared statements must be unique - '${name}' was used for a different statement`);
    if (own && !prepared.sent) {
      for (const surplus of statements.takeSurplus(this.#owner.mostPrepared)) this.#writer.close(surplus.name);
    }
    return prepared;
  }

  #write(place: InFlight, text: string, values: readonly unknown[]): void {
    const writer = this.#writer;
    const { prepared } = place;
    const { mark } = writer;
    const name = prepared?.name ?? "";
    try {
      if (!prepared?.sent) writer.parse(name, text);
      writer.bind(name, values);
      if (!place.shape) writer.describe();
      writer.execute();
    } catch (error) {
      // Nothing of it is sent.
      writer.mark = mark;
      throw error;
    }
    place.parsing = !prepared?.sent;
    if (prepared) prepared.sent = true;
  }

  /** Sends what was gathered in this tick. */
  readonly #flush = (): void => {
    this.#flushing = false;
    const bytes = this.#writer.take();
    if (!this.#wire.writable) return;
    this.#written = this.#taken;
    this.#wire.write(bytes);
  };

  #answered(head: InFlight, status: number): void {
    this.#queue.shift();
    const now = performance.now();
    const tookMs = now - this.#headSince;
    // One sent behind another has the server at once when that one is done.
    const wasAlone = head.since === this.#headSince;
    head.profile.took(wasAlone ? this.#owner.roundTrip.without(tookMs) : tookMs);
    this.#nextHead(now);
    // Single statements leave no transaction open; should one, the pool is to find it.
    if (status !== idleStatus) this.#client._txStatus = String.fromCharCode(status);
    if (!head.settled) {
      if (head.misread === undefined) this.#succeed(head, now);
      else this.#fail(head, head.misread, "completed");
    }
    this.#bound.ended(head);
    this.#owner.answered(this);
    if (this.#queue.length > 0) return;
    const { cancelling } = this.#bound;
    if (this.#broken) this.#close();
    else if (cancelling) void this.#closeAfter(cancelling);
    else this.#owner.emptied(this);
  }

  /** A late cancel would hit the next statement of this backend: the connection is kept until the server has taken note. */
  async #closeAfter(cancelling: Promise<unknown>): Promise<void> {
    await cancelling;
    this.#close();
  }

  #nextHead(now: number): void {
    this.#headPhase = "sent";
    this.#headSince = now;
  }

  #succeed(place: InFlight, now: number): void {
    place.settled = true;
    this.#finished(place, now, false);
    place.resolve(place.result());
  }

  /** What pg has to tell: the server's error about the first in the queue, or the end of the connection. */
  #told(error: Error): void {
    if (!this.#open) return;
    // pg takes a statement that failed for ended.
    this.#client._activeQuery = this.#standIn;
    const head = this.#queue[0];
    if (this.#handing && head) {
      if (!head.settled) this.#fail(head, error, this.#headPhase);
      return;
    }
    for (const [index, place] of this.#queue.splice(0).entries()) {
      const unsent = this.#ended || place.number >= this.#written;
      if (!place.settled) this.#fail(place, error, unsent ? "unsent" : index === 0 ? this.#headPhase : "sent");
      this.#bound.ended(place);
    }
    // A connection that ends while the lane awaits nothing ends the lane.
    this.#broken ??= error;
    this.#close();
  }

  #fail(place: InFlight, error: unknown, phase: StatementPhase): void {
    place.settled = true;
    const { server, brokenBy, statements, usable } = this.connection;
    const { error: meant, mistaken } = this.#bound.explain(place, error);
    const explained = explain(meant, { server, phase, brokenBy });
    const known = classifyStatementError(explained, { phase, extended: true }, place.statement);
    const verdict = mistaken ? ({ ...known, retry: "always" } as const) : known;
    const secondary = mistaken || this.#broken !== undefined;
    if (endsSession(error)) this.#ended = true;
    if (place.prepared && (place.parsing || verdict.kind === "stale-plan")) {
      statements.forget(place.prepared);
      if (!place.parsing) this.#writer.close(place.prepared.name);
    }
    // A stale plan costs the statement its name, not the connection.
    if ((verdict.evict && verdict.kind !== "stale-plan") || !usable) {
      this.#broken ??= error instanceof Error ? error : new Error("connection lost", { cause: error });
    }
    this.#finished(place, performance.now(), true);
    place.reject(new StatementFailure(explained, verdict, secondary));
  }

  #finished({ statement: { config }, since }: InFlight, now: number, failed: boolean): void {
    const text = typeof config === "string" ? config : config.text;
    this.#owner.connections.shareEnded(this.connection);
    this.#owner.host.finished({ text, durationMs: now - since, server: this.connection.server, failed });
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#bound.settled();
    this.#client._activeQuery = null;
    this.#client.readyForQuery = true;
    const broken = this.#broken ?? (this.connection.usable ? undefined : this.connection.brokenBy);
    this.#owner.closed(this, broken);
  }
}

/** The severity is in English only where `lc_messages` is; these states always come with it. */
function endsSession(error: unknown): boolean {
  return sqlStateOf(error)?.startsWith("57P") === true || (error as { severity?: unknown }).severity === "FATAL";
}
