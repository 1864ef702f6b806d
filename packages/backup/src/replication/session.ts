import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { AbortedError, isConnectionError, messageOf, redactUrls, sqlStateOf } from "@db/core";
import { Client, type ClientConfig } from "pg";
import { BackupConnectionError, ReplicationRefusedError, ReplicationServerError } from "../errors.ts";
import { type ByteSource, StreamSource, StretchSocket } from "./byte-source.ts";
import { type Frame, FrameReader, parseDataRow, parseNotice } from "./frame-reader.ts";

/** How to reach the server. */
export interface ReplicationOptions {
  /** `postgres://` URL of a role with REPLICATION. */
  readonly url: string;
  /** Longest wait for the connection, milliseconds. */
  readonly connectTimeoutMs: number;
  /** Of `stretchesBytes`: messages lie in it when they are given out. */
  readonly memory?: Buffer | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The rows of one result set, as text. */
export type TextRows = readonly (readonly (string | null)[])[];

/**
 * One replication connection. `pg` dials, encrypts and authenticates; then the socket is ours for good, because its
 * parser cannot carry a base backup. `replication=database` takes physical commands and SQL alike, and matches an
 * ordinary pg_hba.conf line.
 */
export class ReplicationSession implements AsyncDisposable {
  readonly #stream: Duplex;
  readonly #source: ByteSource;
  readonly #reader: FrameReader;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: () => void;
  #closed = false;

  private constructor(stream: Duplex, source: ByteSource, signal: AbortSignal | undefined) {
    this.#stream = stream;
    this.#source = source;
    this.#reader = new FrameReader(source);
    this.#signal = signal;
    this.#onAbort = () => {
      this.#reader.fail(new AbortedError("the backup was aborted", { cause: signal?.reason }));
      // The server sees the socket close and ends its side of the backup by itself.
      stream.destroy();
    };
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** @throws {ReplicationRefusedError} @throws {BackupConnectionError} */
  static async connect(options: ReplicationOptions): Promise<ReplicationSession> {
    if (options.signal?.aborted) throw new AbortedError("the backup was aborted", { cause: options.signal.reason });
    let direct: StretchSocket | undefined;
    const config = {
      connectionString: options.url,
      // Not in the driver's types; it goes into the startup packet as it is.
      replication: "database",
      application_name: "db-backup",
      connectionTimeoutMillis: options.connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      // Encryption goes around a socket and reads it itself.
      stream: ({ ssl }: { readonly ssl?: unknown }): Socket =>
        ssl ? new Socket() : (direct = new StretchSocket(options.memory)).socket,
    };
    const client = new Client(config as unknown as ClientConfig);
    // After the takeover the reader tells of errors; the driver's event must only not be unhandled.
    client.on("error", () => undefined);
    try {
      await client.connect();
    } catch (error) {
      throw explainRefusal(error, options.url);
    }
    const { stream } = (client as unknown as { connection: { stream: Duplex } }).connection;
    stream.pause();
    stream.removeAllListeners("data");
    const session = new ReplicationSession(stream, direct ?? new StreamSource(stream, options.memory), options.signal);
    // A role may carry time-outs meant for its ordinary sessions.
    await session.query("set statement_timeout = 0");
    return session;
  }

  /** Runs one simple query that returns rows. @returns one entry per result set */
  async query(sql: string): Promise<readonly TextRows[]> {
    this.sendQuery(sql);
    const results: (string | null)[][][] = [];
    let failure: ReplicationServerError | undefined;
    for (;;) {
      const { type, body } = await this.next();
      if (type === "T") results.push([]);
      else if (type === "D") results.at(-1)?.push(parseDataRow(body));
      else if (type === "E") failure = serverError(body);
      else if (type === "Z") break;
    }
    if (failure) throw failure;
    return results;
  }

  /** The first row of a query's first result. */
  async queryRow(sql: string): Promise<readonly (string | null)[] | undefined> {
    return (await this.query(sql))[0]?.[0];
  }

  sendQuery(sql: string): void {
    this.#send("Q", Buffer.from(`${sql}\0`));
  }

  sendCopyData(body: Buffer): void {
    this.#send("d", body);
  }

  sendCopyDone(): void {
    this.#send("c", Buffer.alloc(0));
  }

  /**
   * The next message; a FATAL error ends the session with a connection error right after it.
   * @param withinMs longest silence of the server, milliseconds; undefined waits for ever
   */
  next(withinMs?: number): Promise<Frame> {
    return this.#reader.next(withinMs);
  }

  /** The next message if it is here already. */
  take(): Frame | undefined {
    return this.#reader.take();
  }

  /** Says goodbye and closes; never throws, never waits longer than a second. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    const stream = this.#stream;
    if (stream.destroyed) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => stream.destroy(), 1_000);
      stream.once("close", () => {
        clearTimeout(timer);
        resolve();
      });
      this.#reader.fail(new BackupConnectionError("the connection is closed"));
      this.#source.discard();
      stream.end(Buffer.from([0x58, 0, 0, 0, 4]));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #send(type: string, body: Buffer): void {
    const head = Buffer.alloc(5);
    head.write(type, "latin1");
    head.writeInt32BE(body.length + 4, 1);
    this.#stream.write(Buffer.concat([head, body]));
  }
}

/** The error of an ErrorResponse. */
export function serverError(body: Buffer): ReplicationServerError {
  const { sqlState, message } = parseNotice(body);
  return new ReplicationServerError(sqlState, `the server ended the command: ${message}`);
}

function explainRefusal(error: unknown, url: string): Error {
  const state = sqlStateOf(error);
  const message = redactUrls(messageOf(error));
  const user = userOf(url);
  if (state === "42501" || /must be superuser or replication role/.test(message)) {
    return new ReplicationRefusedError("role", `role ${user} may not take a physical backup`, {
      cause: error,
      hint: `Run as a superuser: alter role ${user} replication;`,
    });
  }
  if (state === "28000" && /pg_hba\.conf/.test(message)) {
    return new ReplicationRefusedError("pg_hba", `pg_hba.conf does not let role ${user} in`, {
      cause: error,
      hint: `Add to pg_hba.conf and reload: host all,replication ${user} <this machine's address>/32 scram-sha-256`,
    });
  }
  if (state === "53300" && /max_wal_senders|standby connections/.test(message)) {
    return new ReplicationRefusedError("wal_senders", "the server has no free WAL sender", {
      cause: error,
      hint: "Raise max_wal_senders (a backup takes two) and restart the server; wal_level must be replica or logical.",
    });
  }
  if (state !== undefined && !isConnectionError(error)) {
    return new ReplicationServerError(state, `the server refused the connection: ${message}`, { cause: error });
  }
  return new BackupConnectionError(`cannot connect to the server: ${message}`, {
    cause: error,
    hint: "Check the address, and that the server is up and reachable from here.",
  });
}

function userOf(url: string): string {
  try {
    return decodeURIComponent(new URL(url).username) || "of this connection";
  } catch {
    return "of this connection";
  }
}
