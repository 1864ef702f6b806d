import type { Socket } from "node:net";
import * as protocol from "./protocol.ts";

/** What a scripted statement answers: rows of text, or an error. */
export type Answer =
  | {
      readonly columns: readonly string[];
      readonly rows: readonly (readonly (string | null)[])[];
      readonly tag?: string;
    }
  | { readonly tag: string }
  | { readonly error: protocol.ErrorFields };

/** What the client said when it connected. A cancel request carries the key it was given. */
export type Startup =
  | { readonly kind: "startup"; readonly parameters: Readonly<Record<string, string>> }
  | { readonly kind: "cancel"; readonly pid: number; readonly secret: number };

/** The server's end of one connection, step by step. */
export interface ScriptedConnection {
  /** Reads the client's first message; requests for TLS or GSS are declined on the way. */
  startup(): Promise<Startup>;
  /** The next message. @throws when the client has gone */
  read(): Promise<protocol.FrontendMessage>;
  /** Sends bytes as they are. The builders of messages are exported beside the server. */
  send(...bytes: readonly Buffer[]): void;
  error(fields: protocol.ErrorFields): void;
  /** Startup, authentication without a password, parameters, key and ready: the whole welcome. */
  welcome(options?: {
    readonly parameters?: Readonly<Record<string, string>>;
    readonly pid?: number;
  }): Promise<Startup>;
  /** Answers statements, simple and extended, until the client says goodbye. */
  serve(answer: (statement: string, values: readonly (string | null)[]) => Answer | Promise<Answer>): Promise<void>;
  /** Ends the connection in order. */
  close(): void;
  /** Ends it with a TCP reset. */
  reset(): void;
}

/** The client went away while the script waited for it. */
class ClientGone extends Error {}

const sslRequest = 80877103;
const gssRequest = 80877104;
const cancelRequest = 80877102;

export class SocketConnection implements ScriptedConnection {
  lost = false;
  readonly #socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (data: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, data]);
      this.#wake();
    });
    const gone = (): void => {
      this.lost = true;
      this.#wake();
    };
    socket.on("error", gone);
    socket.once("end", gone);
    socket.once("close", gone);
  }

  async startup(): Promise<Startup> {
    for (;;) {
      const length = (await this.#take(4)).readInt32BE();
      const body = await this.#take(length - 4);
      const code = body.readInt32BE();
      if (code === sslRequest || code === gssRequest) {
        this.#socket.write("N");
        continue;
      }
      if (code === cancelRequest) return { kind: "cancel", pid: body.readInt32BE(4), secret: body.readInt32BE(8) };
      const parts = body.subarray(4).toString("utf8").split("\0");
      const parameters: Record<string, string> = {};
      for (let index = 0; index + 1 < parts.length && parts[index] !== ""; index += 2) {
        parameters[parts[index] as string] = parts[index + 1] as string;
      }
      return { kind: "startup", parameters };
    }
  }

  async read(): Promise<protocol.FrontendMessage> {
    const head = await this.#take(5);
    return { type: head.toString("latin1", 0, 1), body: await this.#take(head.readInt32BE(1) - 4) };
  }

  send(...bytes: readonly Buffer[]): void {
    if (!this.#socket.destroyed) this.#socket.write(Buffer.concat(bytes));
  }

  error(fields: protocol.ErrorFields): void {
    this.send(protocol.errorResponse(fields));
  }

  async welcome(
    options: { readonly parameters?: Readonly<Record<string, string>>; readonly pid?: number } = {},
  ): Promise<Startup> {
    const startup = await this.startup();
    if (startup.kind === "cancel") return startup;
    const parameters = {
      server_version: "18.0",
      server_encoding: "UTF8",
      client_encoding: "UTF8",
      DateStyle: "ISO, MDY",
      TimeZone: "UTC",
      integer_datetimes: "on",
      standard_conforming_strings: "on",
      in_hot_standby: "off",
      ...options.parameters,
    };
    this.send(
      protocol.authenticationOk,
      ...Object.entries(parameters).map(([name, value]) => protocol.parameterStatus(name, value)),
      protocol.backendKeyData(options.pid ?? 4_242, 7),
      protocol.readyForQuery(),
    );
    return startup;
  }

  async serve(
    answer: (statement: string, values: readonly (string | null)[]) => Answer | Promise<Answer>,
  ): Promise<void> {
    const statements = new Map<string, string>();
    let bound = { statement: "", values: [] as readonly (string | null)[] };
    let described: Answer | undefined;
    let failed = false;
    for (;;) {
      const { type, body } = await this.read();
      if (type === "X") return;
      if (type === "Q") {
        const result = await answer(body.toString("utf8", 0, body.length - 1), []);
        this.send(...this.#describe(result), ...this.#execute(result), protocol.readyForQuery());
      } else if (type === "S") {
        failed = false;
        this.send(protocol.readyForQuery());
      } else if (failed) {
        // After an error the server skips to the next Sync.
      } else if (type === "P") {
        const [name = "", statement = ""] = body.toString("utf8").split("\0");
        statements.set(name, statement);
        this.send(protocol.parseComplete);
      } else if (type === "B") {
        const { name, values } = bindOf(body);
        bound = { statement: statements.get(name) ?? "", values };
        described = undefined;
        this.send(protocol.bindComplete);
      } else if (type === "D") {
        described = await answer(bound.statement, bound.values);
        this.send(...("error" in described ? [] : this.#describe(described, true)));
      } else if (type === "E") {
        const result = described ?? (await answer(bound.statement, bound.values));
        failed = "error" in result;
        this.send(...this.#execute(result));
      } else if (type === "C") this.send(protocol.closeComplete);
    }
  }

  close(): void {
    this.#socket.end();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }

  #describe(answer: Answer, extended: boolean = false): Buffer[] {
    if ("columns" in answer) return [protocol.rowDescription(answer.columns)];
    return extended ? [protocol.noData] : [];
  }

  #execute(answer: Answer): Buffer[] {
    if ("error" in answer) return [protocol.errorResponse(answer.error)];
    if (!("columns" in answer)) return [protocol.commandComplete(answer.tag)];
    const rows = answer.rows.map((row) => protocol.dataRow(row));
    return [...rows, protocol.commandComplete(answer.tag ?? `SELECT ${answer.rows.length}`)];
  }

  async #take(length: number): Promise<Buffer> {
    while (this.#buffer.length < length) {
      if (this.lost) throw new ClientGone("the client closed the connection");
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const taken = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(length);
    return taken;
  }
}

/** The statement and the values of a Bind message; values are taken as text. */
function bindOf(body: Buffer): { readonly name: string; readonly values: readonly (string | null)[] } {
  const portalEnd = body.indexOf(0) + 1;
  const nameEnd = body.indexOf(0, portalEnd);
  const name = body.toString("utf8", portalEnd, nameEnd);
  let offset = nameEnd + 1;
  offset += 2 + 2 * body.readInt16BE(offset);
  const count = body.readInt16BE(offset);
  offset += 2;
  const values: (string | null)[] = [];
  for (let index = 0; index < count; index += 1) {
    const length = body.readInt32BE(offset);
    offset += 4;
    values.push(length < 0 ? null : body.toString("utf8", offset, offset + length));
    offset += Math.max(0, length);
  }
  return { name, values };
}
