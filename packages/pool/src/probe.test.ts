import { createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { resolvePoolOptions } from "./options.ts";
import { Probe } from "./probe.ts";

/** Longer than a test may take: only the end of the probe can end it. */
const never = 2 ** 30;

let door: Server;
const sockets = new Set<Socket>();
let knocked: PromiseWithResolvers<Socket>;
beforeEach(async () => {
  knocked = Promise.withResolvers();
  // It accepts and says nothing, ever.
  door = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.resume();
    knocked.resolve(socket);
  });
  await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve));
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  door.close();
});

function probe(): Probe {
  const { port } = door.address() as { port: number };
  const { servers } = resolvePoolOptions({ primaryUrl: `postgres://app@127.0.0.1:${port}/app` });
  return new Probe(servers[0]!, { timeoutMs: never, connectTimeoutMs: never });
}

test("a probe that waits for a server's first word ends when it is told to, and leaves no socket", async () => {
  const probing = probe();
  const outcome = probing.run();
  const socket = await knocked.promise;
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await probing.end();
  expect(await outcome).toMatchObject({ failure: "silent" });
  await closed;
});

test("a probe that is told to end before its connection is open ends too", async () => {
  const probing = probe();
  const outcome = probing.run();
  await probing.end();
  expect(await outcome).toMatchObject({ failure: expect.any(String) as string });
});

test("a probe that is run after its end waits for nobody, and leaves no socket", async () => {
  const probing = probe();
  await probing.end();
  expect(await probing.run()).toMatchObject({ failure: "silent" });
  const connections = (): Promise<number> =>
    new Promise((resolve) => door.getConnections((_, count) => resolve(count)));
  await expect.poll(connections).toBe(0);
});
