import { createServer, type Server, type Socket } from "node:net";
import { SocketConnection, type ScriptedConnection } from "./scripted-connection.ts";

/** What one connection of a scripted server does, from its first byte on. It ends when the function returns. */
export type Script = (connection: ScriptedConnection) => Promise<void>;

/** A server that follows a script, for what a real one cannot be made to do. */
export interface ScriptedServer extends AsyncDisposable {
  readonly port: number;
  /** `postgres://postgres:postgres@127.0.0.1:PORT/postgres`. */
  readonly url: string;
  /** Connections accepted since the start. */
  readonly accepted: number;
  /** What scripts threw, in order; a client that went away is no error. */
  readonly errors: readonly unknown[];
  /** Replaces the script for connections to come. */
  use(script: Script): void;
  stop(): Promise<void>;
}

/** Starts a server on a free port of 127.0.0.1; every connection runs `script` from the start. */
export async function startScriptedServer(script: Script): Promise<ScriptedServer> {
  const server = new SocketScriptedServer(script);
  await server.listen();
  return server;
}

class SocketScriptedServer implements ScriptedServer {
  #script: Script;
  #accepted = 0;
  #port = 0;
  readonly #errors: unknown[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #listener: Server;

  constructor(script: Script) {
    this.#script = script;
    this.#listener = createServer({ noDelay: true }, (socket) => void this.#serve(socket));
  }

  get port(): number {
    return this.#port;
  }
  get url(): string {
    return `postgres://postgres:postgres@127.0.0.1:${this.#port}/postgres`;
  }
  get accepted(): number {
    return this.#accepted;
  }
  get errors(): readonly unknown[] {
    return this.#errors;
  }

  use(script: Script): void {
    this.#script = script;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#listener.once("error", reject);
      this.#listener.listen(0, "127.0.0.1", resolve);
    });
    const address = this.#listener.address();
    if (typeof address === "object" && address !== null) this.#port = address.port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#listener.close(() => resolve()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #serve(socket: Socket): Promise<void> {
    this.#accepted += 1;
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    const connection = new SocketConnection(socket);
    try {
      await this.#script(connection);
    } catch (error) {
      if (!connection.lost) this.#errors.push(error);
    } finally {
      connection.close();
    }
  }
}
