import { formatDuration } from "@db/core";
import { BackupConnectionError, ReplicationProtocolError } from "../errors.ts";
import type { ByteSource, Stretch } from "./byte-source.ts";

/** One message of the server: its type letter and its body, which is good until the next one is asked for. */
export interface Frame {
  readonly type: string;
  readonly body: Buffer;
}

const maxFrameBytes = 16 * 1024 * 1024;

/**
 * Reads protocol messages off a socket, one when asked for one. What nobody asks for stays in the socket, so a slow
 * repository slows the server down instead of filling memory: a few messages and two socket reads are held.
 *
 * Two stretches of memory serve all messages, so that a database of any size makes no garbage here. The driver's own
 * parser is not used: it overwrites its buffer whenever the socket has more, while a sink may still be busy with the
 * last message.
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class FrameReader {
  readonly #source: ByteSource;
  #buffer: Buffer = Buffer.alloc(0);
  #begin = 0;
  #end = 0;
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(source: ByteSource) {
    this.#source = source;
    const lost = (cause?: unknown): void => {
      this.#failure ??= new BackupConnectionError("the connection to the server was lost", {
        ...(cause === undefined ? {} : { cause }),
        hint: "Look in the server's log; a proxy or firewall may cut long transfers.",
      });
      this.#wake();
    };
    source.start(() => this.#wake(), lost);
  }

  /** Makes every waiting and later `next` fail with `error`. */
  fail(error: Error): void {
    this.#failure = error;
    this.#wake();
  }

  /**
   * @param withinMs longest silence of the server, milliseconds; undefined waits for ever
   * @throws {BackupConnectionError} @throws {ReplicationProtocolError}
   */
  async next(withinMs?: number): Promise<Frame> {
    for (;;) {
      const frame = this.take();
      if (frame) return frame;
      if (this.#failure) throw this.#failure;
      await this.#more(withinMs);
    }
  }

  /**
   * The next message if it is here already: of a hundred thousand, few need to be waited for.
   * @throws {ReplicationProtocolError}
   */
  take(): Frame | undefined {
    let frame = this.#take();
    while (!frame && this.#source.ready) {
      this.#goOn(this.#source.take());
      frame = this.#take();
    }
    return frame;
  }

  /** Waits until the socket has something, or the reader has failed. */
  async #more(withinMs: number | undefined): Promise<void> {
    const silence = withinMs === undefined ? undefined : setTimeout(() => this.fail(silentServer(withinMs)), withinMs);
    await new Promise<void>((resolve) => (this.#wake = resolve));
    clearTimeout(silence);
  }

  /** What is left of the last stretch goes in front of the next one, where there is room for it. */
  #goOn({ memory, begin, end }: Stretch): void {
    const held = this.#end - this.#begin;
    if (held <= begin) {
      this.#buffer.copy(memory, begin - held, this.#begin, this.#end);
      this.#buffer = memory;
      this.#begin = begin - held;
      this.#end = end;
      return;
    }
    // A message longer than the room: put together in memory of its own.
    const joined = Buffer.allocUnsafe(held + end - begin);
    this.#buffer.copy(joined, 0, this.#begin, this.#end);
    memory.copy(joined, held, begin, end);
    this.#buffer = joined;
    this.#begin = 0;
    this.#end = joined.length;
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

function silentServer(withinMs: number): BackupConnectionError {
  return new BackupConnectionError(
    `the server sent nothing for ${formatDuration(withinMs)} in the middle of its files`,
    {
      hint: "Look whether it or its disk is stopped; raise stallTimeoutMs where its disk is that slow.",
    },
  );
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
