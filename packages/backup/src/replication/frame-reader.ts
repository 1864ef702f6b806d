import type { Duplex } from "node:stream";
import { BackupConnectionError, ReplicationProtocolError } from "../errors.ts";

/** One message of the server: its type letter and its body, which nobody overwrites later. */
export interface Frame {
  readonly type: string;
  readonly body: Buffer;
}

const maxFrameBytes = 16 * 1024 * 1024;

/**
 * Reads protocol messages off a socket, one when asked for one. What nobody asks for stays in the socket, so a slow
 * repository slows the server down instead of filling memory: at most one message and one socket read are held.
 *
 * The driver's own parser is not used: it reuses its buffer for the next read, so bytes kept after a handler returns
 * are overwritten.
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class FrameReader {
  readonly #stream: Duplex;
  #buffer: Buffer = Buffer.alloc(0);
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(stream: Duplex) {
    this.#stream = stream;
    const lost = (cause?: unknown): void => {
      this.#failure ??= new BackupConnectionError("the connection to the server was lost", {
        ...(cause === undefined ? {} : { cause }),
        hint: "Look in the server's log; a proxy or firewall may cut long transfers.",
      });
      this.#wake();
    };
    stream.on("readable", () => this.#wake());
    stream.on("error", lost);
    stream.on("end", () => lost());
    stream.on("close", () => lost());
  }

  /** Makes every waiting and later `next` fail with `error`. */
  fail(error: Error): void {
    this.#failure = error;
    this.#wake();
  }

  /** @throws {BackupConnectionError} @throws {ReplicationProtocolError} */
  async next(): Promise<Frame> {
    for (;;) {
      const frame = this.#take();
      if (frame) return frame;
      const chunk = this.#stream.read() as Buffer | null;
      if (chunk) this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
      else if (this.#failure) throw this.#failure;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #take(): Frame | undefined {
    if (this.#buffer.length < 5) return undefined;
    const length = this.#buffer.readInt32BE(1);
    if (length < 4 || length > maxFrameBytes) {
      throw new ReplicationProtocolError("the server sent a message of impossible length", {
        hint: "Check that the address is a PostgreSQL server and that no proxy changes the stream.",
      });
    }
    if (this.#buffer.length < length + 1) return undefined;
    const frame = { type: String.fromCharCode(this.#buffer[0]!), body: this.#buffer.subarray(5, length + 1) };
    this.#buffer = this.#buffer.subarray(length + 1);
    return frame;
  }
}

/** The columns of a DataRow message as text. */
export function parseDataRow(body: Buffer): (string | null)[] {
  const columns: (string | null)[] = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at);
    at += 4;
    columns.push(length < 0 ? null : body.toString("utf8", at, at + length));
    at += Math.max(0, length);
  }
  return columns;
}

/** The fields of an ErrorResponse or NoticeResponse: severity, SQLSTATE, message. */
export function parseNotice(body: Buffer): {
  readonly severity: string;
  readonly sqlState: string;
  readonly message: string;
} {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at + 1);
    if (end < 0) break;
    fields.set(String.fromCharCode(body[at]!), body.toString("utf8", at + 1, end));
    at = end + 1;
  }
  return {
    severity: fields.get("V") ?? fields.get("S") ?? "",
    sqlState: fields.get("C") ?? "",
    message: fields.get("M") ?? "",
  };
}
