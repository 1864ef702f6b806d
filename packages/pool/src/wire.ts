import type pg from "pg";

/** Takes the server's messages while statements of its own are in flight. */
export interface MessageReader {
  /** False once everything it sent is answered: what comes then is for pg. */
  readonly awaits: boolean;
  /** One whole message; its body is `bytes` from `start` to `end`. */
  message(type: number, bytes: Buffer, start: number, end: number): void;
}

/** What pg's connection has of a socket, as far as it is used here. */
interface Socket {
  readonly writable: boolean;
  readonly writableNeedDrain?: boolean;
  write(bytes: Buffer): boolean;
  destroy(): unknown;
  on(event: "data", listener: (chunk: Buffer) => void): unknown;
  listeners(event: "data"): unknown[];
  removeAllListeners(event: "data"): unknown;
}

interface Internals {
  readonly ssl?: unknown;
  readonly binary?: boolean;
  readonly connection?: {
    readonly stream?: Partial<Socket>;
    once(event: "sslconnect", listener: () => void): unknown;
  };
  readonly query: { readonly __original?: unknown };
}

const headerBytes = 5;
/** First bytes of the messages a server sends. */
const known: ReadonlySet<number> = new Set(Array.from("123ACDEGHIKNRSTVWZcdnstv", (type) => type.charCodeAt(0)));
/** Largest message PostgreSQL sends (MaxAllocSize). */
const mostBytes = 0x3fff_ffff;

/**
 * The socket of a pg client, which pg and the statements of a lane use in turn. While a lane awaits answers they go to
 * the lane, message by message; everything else goes to pg untouched, as if nobody stood between.
 */
export class Wire {
  readonly #socket: Socket;
  readonly #toPg: (chunk: Buffer) => void;
  #reader: MessageReader | undefined;
  #lost = false;
  /** Told when what came is no message: nothing on this connection can be trusted any more. */
  desynchronized: () => void = () => this.#socket.destroy();
  /** The message pg is in the middle of: bytes of its header seen, its length so far, bytes of its body to come. */
  #headerSeen = 0;
  #length = 0;
  #bodyLeft = 0;
  /** The message the reader is in the middle of. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  #wanted = 0;

  private constructor(socket: Socket, toPg: (chunk: Buffer) => void) {
    this.#socket = socket;
    this.#toPg = toPg;
    socket.removeAllListeners("data");
    socket.on("data", (chunk) => this.#received(chunk));
  }

  /**
   * Steps in between a client that just began to connect and its socket.
   * @returns what finds the wire once the client is connected; there is none for a client whose statements somebody
   * else watches, or whose results are binary
   */
  static attach(client: pg.Client): () => Wire | undefined {
    const internals = client as unknown as Internals;
    const { connection } = internals;
    let wire: Wire | undefined;
    const attach = (): void => {
      const socket = connection?.stream as Socket | undefined;
      const listeners = socket?.listeners?.("data") ?? [];
      if (socket && listeners.length === 1) wire = new Wire(socket, listeners[0] as (chunk: Buffer) => void);
    };
    // Instrumentation wraps `query`, and is to see every statement.
    if (!connection || internals.binary || internals.query.__original !== undefined) return () => undefined;
    if (internals.ssl) connection.once("sslconnect", attach);
    else attach();
    return () => wire;
  }

  get writable(): boolean {
    return this.#socket.writable;
  }

  /** True while the server does not read what it was sent. */
  get congested(): boolean {
    return this.#socket.writableNeedDrain === true;
  }

  /** True when pg is not in the middle of a message, so that a lane may begin. */
  get free(): boolean {
    return this.#headerSeen === 0;
  }

  /** Who reads while it awaits answers. */
  set reader(reader: MessageReader) {
    this.#reader = reader;
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** Lets pg read one message that the lane does not: an error, a notice, a notification. */
  toPg(message: Buffer): void {
    this.#toPg(message);
  }

  #received(chunk: Buffer): void {
    if (this.#lost) return;
    if (!this.#reader?.awaits) {
      this.#pass(chunk);
      return;
    }
    if (this.#partBytes === 0) {
      this.#read(chunk);
      return;
    }
    this.#parts.push(chunk);
    this.#partBytes += chunk.length;
    if (this.#partBytes < this.#wanted) return;
    const bytes = Buffer.concat(this.#parts, this.#partBytes);
    this.#parts = [];
    this.#partBytes = 0;
    this.#read(bytes);
  }

  #read(bytes: Buffer): void {
    const reader = this.#reader!;
    const { length } = bytes;
    let at = 0;
    let wanted = headerBytes;
    while (reader.awaits) {
      if (length - at < headerBytes) break;
      const size = (bytes[at + 1]! << 24) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 8) | bytes[at + 4]!;
      if (size < 4 || size > mostBytes || !known.has(bytes[at]!)) return this.#lose();
      wanted = 1 + size;
      if (length - at < wanted) break;
      reader.message(bytes[at]!, bytes, at + headerBytes, at + wanted);
      at += wanted;
      wanted = headerBytes;
    }
    if (at === length) return;
    const rest = at === 0 ? bytes : bytes.subarray(at);
    if (!reader.awaits) return this.#pass(rest);
    this.#parts.push(rest);
    this.#partBytes = rest.length;
    this.#wanted = wanted;
  }

  #pass(chunk: Buffer): void {
    const good = this.#follow(chunk);
    if (good > 0) this.#toPg(good === chunk.length ? chunk : chunk.subarray(0, good));
    if (good < chunk.length) this.#lose();
  }

  #lose(): void {
    this.#lost = true;
    this.desynchronized();
  }

  /** Keeps track of where messages begin. @returns how many bytes there are before what is no message */
  #follow(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length) {
      if (this.#bodyLeft > 0) {
        const skipped = Math.min(this.#bodyLeft, chunk.length - at);
        at += skipped;
        this.#bodyLeft -= skipped;
        if (this.#bodyLeft > 0) return at;
      } else {
        if (this.#headerSeen === 0 && !known.has(chunk[at]!)) return at;
        this.#length = this.#headerSeen === 0 ? 0 : (this.#length << 8) | chunk[at]!;
        this.#headerSeen += 1;
        if (this.#headerSeen === headerBytes && (this.#length < 4 || this.#length > mostBytes)) return at;
        at += 1;
        if (this.#headerSeen < headerBytes) continue;
        this.#bodyLeft = this.#length - 4;
        if (this.#bodyLeft > 0) continue;
      }
      this.#headerSeen = 0;
    }
    return at;
  }
}
