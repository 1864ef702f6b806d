import type { Duplex } from "node:stream";
import { BackupConnectionError, ReplicationProtocolError } from "../errors.ts";

/** One message of the server: its type letter and its body, which is good until the next one is asked for. */
export interface Frame {
  readonly type: string;
  readonly body: Buffer;
}

const initialBytes = 256 * 1024;
const maxFrameBytes = 16 * 1024 * 1024;

/**
 * Reads protocol messages off a socket, one when asked for one. What nobody asks for stays in the socket, so a slow
 * repository slows the server down instead of filling memory: at most one message and one socket read are held.
 *
 * One buffer serves all messages, so that a database of any size makes no garbage here. The driver's own parser is not
 * used: it overwrites its buffer whenever the socket has more, while a sink may still be busy with the last message.
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class FrameReader {
  readonly #stream: Duplex;
  #buffer: Buffer = Buffer.allocUnsafe(initialBytes);
  #begin = 0;
  #end = 0;
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
      if (chunk) this.#keep(chunk);
      else if (this.#failure) throw this.#failure;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #keep(chunk: Buffer): void {
    const held = this.#end - this.#begin;
    if (this.#end + chunk.length > this.#buffer.length) {
      const larger = held + chunk.length > this.#buffer.length;
      const target = larger ? Buffer.allocUnsafe((held + chunk.length) * 2) : this.#buffer;
      this.#buffer.copy(target, 0, this.#begin, this.#end);
      this.#buffer = target;
      this.#begin = 0;
      this.#end = held;
    }
    chunk.copy(this.#buffer, this.#end);
    this.#end += chunk.length;
  }

  #take(): Frame | undefined {
    const held = this.#end - this.#begin;
    if (held < 5) return undefined;
    const length = this.#buffer.readInt32BE(this.#begin + 1);
    if (length < 4 || length > maxFrameBytes) {
      throw new ReplicationProtocolError("the server sent a message of impossible length", {
        hint: "Check that the address is a PostgreSQL server and that no proxy changes the stream.",
      });
    }
    if (held < length + 1) return undefined;
    const at = this.#begin;
    this.#begin += length + 1;
    return { type: String.fromCharCode(this.#buffer[at]!), body: this.#buffer.subarray(at + 5, at + length + 1) };
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
