import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A way to a server on which making a connection takes longer, and nothing else does. */
export interface SlowDoor extends AsyncDisposable {
  readonly port: number;
  /** Connections that came so far. */
  readonly accepted: number;
}

/** Opens it on a free port of 127.0.0.1. */
export async function openSlowDoor(
  to: { readonly host: string; readonly port: number },
  delayMs: number,
): Promise<SlowDoor> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const listener = createServer((client) => {
    accepted += 1;
    sockets.add(client);
    client.on("error", () => client.destroy());
    setTimeout(() => {
      if (client.destroyed) return;
      const server = connect(to);
      sockets.add(server);
      for (const socket of [client, server]) {
        socket.setNoDelay(true);
        socket.on("error", () => socket.destroy());
      }
      client.once("close", () => server.destroy());
      server.once("close", () => client.destroy());
      client.pipe(server).pipe(client);
    }, delayMs);
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: (listener.address() as AddressInfo).port,
    get accepted() {
      return accepted;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, "close");
    },
  };
}
