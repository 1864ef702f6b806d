import { formatLsn, parseLsn, walSegmentName } from "@db/core";
import { ReplicationProtocolError, type ReplicationServerError, WalGapError } from "../errors.ts";
import { parseDataRow } from "./frame-reader.ts";
import { type ReplicationSession, serverError } from "./session.ts";

/** Receives WAL in order, cut at segment boundaries. A returned promise holds the server back. */
export interface WalSink {
  /** Bytes of `segment` beginning at `offset`. */
  data(segment: string, offset: number, chunk: Buffer): Promise<void>;
  /** The segment is full; resolves when it is durable, and only then the server is told it may forget it. */
  endSegment(segment: string): Promise<void>;
}

/** What to stream. */
export interface WalStreamRequest {
  /** Any position; the stream begins at its segment's first byte. */
  readonly startLsn: string;
  readonly timeline: number;
  readonly segmentBytes: number;
  /** A physical slot that holds the WAL; undefined to go without. */
  readonly slot?: string | undefined;
  /** Milliseconds between two reports to the server. */
  readonly statusIntervalMs?: number;
  /** How far the WAL is durable, where the sink stores later than it takes. Default: up to the last ended segment. */
  readonly durable?: (() => bigint) | undefined;
  /**
   * Told of every message: how far the server has written, when it said so (milliseconds since the epoch), and whether
   * it waits for an answer.
   */
  readonly onMessage?: ((serverEnd: bigint, serverTime: number, asked: boolean) => void) | undefined;
}

/** Where the server goes on when it left the timeline that was streamed. */
export interface NextTimeline {
  readonly timeline: number;
  /** The first position on it. */
  readonly startLsn: string;
}

/** The WAL stream's own time zero, 2000-01-01, in milliseconds. */
const epochMs = 946_684_800_000;

/**
 * One stream of WAL on one timeline. `run` reads until the server ends the timeline, `stop` is called, or the
 * connection goes; what is acknowledged is only what the sink made durable.
 * @see https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-START-REPLICATION
 */
export class WalStream {
  readonly #session: ReplicationSession;
  readonly #request: WalStreamRequest;
  readonly #sink: WalSink;
  #position: bigint;
  #durable: bigint;
  #waiting: { readonly lsn: bigint; readonly resolve: () => void } | undefined;

  constructor(session: ReplicationSession, request: WalStreamRequest, sink: WalSink) {
    this.#session = session;
    this.#request = request;
    this.#sink = sink;
    const start = parseLsn(request.startLsn);
    this.#position = start - (start % BigInt(request.segmentBytes));
    this.#durable = this.#position;
  }

  /** The first byte not received yet. */
  get position(): bigint {
    return this.#position;
  }

  /**
   * Returns when the server ended the timeline.
   * @returns where the server goes on; undefined when it does not say
   * @throws {WalGapError} when the server no longer has the WAL
   */
  async run(): Promise<NextTimeline | undefined> {
    const { slot, timeline } = this.#request;
    const slotClause = slot === undefined ? "" : `SLOT ${slot} `;
    this.#session.sendQuery(
      `START_REPLICATION ${slotClause}PHYSICAL ${formatLsn(this.#position)} TIMELINE ${timeline}`,
    );
    const timer = setInterval(() => this.#report(true), this.#request.statusIntervalMs ?? 10_000);
    timer.unref();
    try {
      return await this.#read();
    } finally {
      clearInterval(timer);
    }
  }

  /** Resolves when the stream has everything before `lsn`, or when `signal` fires. */
  reached(lsn: bigint, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#position >= lsn || signal.aborted) return resolve();
      this.#waiting = { lsn, resolve };
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  async #read(): Promise<NextTimeline | undefined> {
    let failure: ReplicationServerError | undefined;
    let next: NextTimeline | undefined;
    for (;;) {
      const { type, body } = await this.#session.next().catch((error: unknown) => {
        // A FATAL error is followed by the end of the connection: what the server said tells more.
        throw failure ?? error;
      });
      if (type === "d") await this.#message(body);
      else if (type === "W") this.#report(true);
      else if (type === "c") this.#session.sendCopyDone();
      else if (type === "D") {
        const [timeline, startLsn] = parseDataRow(body);
        if (timeline && startLsn) next = { timeline: Number(timeline), startLsn };
      } else if (type === "E") failure = serverError(body);
      else if (type === "Z") {
        if (failure?.sqlState === "58P01") throw gap(failure);
        if (failure) throw failure;
        return next;
      }
    }
  }

  async #message(body: Buffer): Promise<void> {
    const kind = String.fromCharCode(body[0] ?? 0);
    if (kind === "k") {
      this.#tell(body.readBigUInt64BE(1), body.readBigInt64BE(9), body[17] === 1);
      if (body[17] === 1) this.#report();
      return;
    }
    if (kind !== "w") throw new ReplicationProtocolError(`unknown message "${kind}" in the WAL stream`);
    const start = body.readBigUInt64BE(1);
    if (start !== this.#position) {
      throw new WalGapError(`the WAL stream jumped from ${formatLsn(this.#position)} to ${formatLsn(start)}`, {
        hint: "Take the backup again.",
      });
    }
    await this.#store(body.subarray(25));
    this.#tell(body.readBigUInt64BE(9), body.readBigInt64BE(17));
    if (this.#waiting && this.#position >= this.#waiting.lsn) this.#waiting.resolve();
  }

  async #store(payload: Buffer): Promise<void> {
    const segmentBytes = BigInt(this.#request.segmentBytes);
    let at = 0;
    while (at < payload.length) {
      const segment = walSegmentName(this.#request.timeline, this.#position, this.#request.segmentBytes);
      const offset = Number(this.#position % segmentBytes);
      const length = Math.min(this.#request.segmentBytes - offset, payload.length - at);
      await this.#sink.data(segment, offset, payload.subarray(at, at + length));
      this.#position += BigInt(length);
      at += length;
      if (this.#position % segmentBytes === 0n) {
        await this.#sink.endSegment(segment);
        this.#durable = this.#position;
        this.#report();
      }
    }
  }

  #tell(serverEnd: bigint, serverTime: bigint, asked = false): void {
    this.#request.onMessage?.(serverEnd, epochMs + Number(serverTime / 1000n), asked);
  }

  /** Tells the server how far the WAL is received and durable; asks for an answer, which shows that it is there. */
  report(): void {
    this.#report(true);
  }

  #report(ask = false): void {
    const body = Buffer.alloc(34);
    body.write("r", "latin1");
    body.writeBigUInt64BE(this.#position, 1);
    body.writeBigUInt64BE(this.#request.durable?.() ?? this.#durable, 9);
    body.writeBigInt64BE(BigInt(Date.now() - epochMs) * 1000n, 25);
    body[33] = ask ? 1 : 0;
    this.#session.sendCopyData(body);
  }
}

function gap(cause: ReplicationServerError): WalGapError {
  return new WalGapError("the server has already removed WAL this backup needs", {
    cause,
    hint: "Take the backup again; raise max_slot_wal_keep_size if it repeats.",
  });
}
