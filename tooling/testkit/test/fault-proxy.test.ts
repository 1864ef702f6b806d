import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type FaultProxy, startFaultProxy } from "@db/testkit";

/** Answers every byte with itself. */
async function startEcho(): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as { port: number }).port };
}

describe("startFaultProxy", () => {
  let echo: Server;
  let proxy: FaultProxy;
  const sockets: Socket[] = [];
  const open = async (): Promise<Socket> => {
    const socket = connect({ host: proxy.host, port: proxy.port, allowHalfOpen: true });
    socket.on("error", () => undefined);
    sockets.push(socket);
    await once(socket, "connect");
    return socket;
  };
  const receive = async (socket: Socket): Promise<string> => String((await once(socket, "data"))[0]);

  beforeEach(async () => {
    const started = await startEcho();
    echo = started.server;
    proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: started.port } });
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await proxy.stop();
    echo.close();
  });

  test("passes bytes both ways and counts them", async () => {
    const socket = await open();
    socket.write("hello");
    expect(await receive(socket)).toBe("hello");
    expect([proxy.connections, proxy.accepted, proxy.bytesToServer, proxy.bytesToClient]).toEqual([1, 1, 5, 5]);
  });

  test("delays every byte by the time given", async () => {
    const socket = await open();
    proxy.delay(80, "toClient");
    const started = performance.now();
    socket.write("late");
    expect(await receive(socket)).toBe("late");
    expect(performance.now() - started).toBeGreaterThanOrEqual(75);
  });

  test("holds bytes in a blackhole and delivers them once it ends", async () => {
    const socket = await open();
    proxy.blackhole("toServer");
    socket.write("held");
    const answer = receive(socket);
    await expect(Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 60, "nothing"))])).resolves.toBe(
      "nothing",
    );
    proxy.pass();
    expect(await answer).toBe("held");
  });

  test("resets open connections and those to come until the mode changes", async () => {
    const first = await open();
    const failure = once(first, "error");
    await new Promise((resolve) => setTimeout(resolve, 20));
    proxy.reset();
    expect(((await failure)[0] as NodeJS.ErrnoException).code).toBe("ECONNRESET");
    const second = connect({ host: proxy.host, port: proxy.port });
    sockets.push(second);
    expect(((await once(second, "error"))[0] as NodeJS.ErrnoException).code).toBe("ECONNRESET");
    proxy.pass();
    const third = await open();
    third.write("again");
    expect(await receive(third)).toBe("again");
  });

  test("closes one half while the other still carries bytes", async () => {
    const socket = await open();
    socket.write("x");
    await receive(socket);
    const ended = once(socket, "end");
    proxy.halfClose("toClient");
    await ended;
    const before = proxy.bytesToServer;
    socket.write("still");
    await expect.poll(() => proxy.bytesToServer).toBe(before + 5);
  });

  test("trickles at about the rate given", async () => {
    const socket = await open();
    proxy.trickle(1_000, "toClient");
    const started = performance.now();
    socket.write("x".repeat(200));
    let received = 0;
    for await (const data of socket) if ((received += (data as Buffer).length) === 200) break;
    expect(received).toBe(200);
    expect(performance.now() - started).toBeGreaterThan(150);
  });

  test("replaces bytes by as many wrong ones", async () => {
    const socket = await open();
    proxy.garbage("toClient");
    socket.write("twelve bytes");
    const answer = await receive(socket);
    expect(answer).not.toBe("twelve bytes");
    expect(proxy.bytesToClient).toBe(12);
  });

  test("refuses connections and accepts them again on the same port", async () => {
    const { port } = proxy;
    await proxy.refuse();
    const refused = connect({ host: proxy.host, port });
    sockets.push(refused);
    expect(((await once(refused, "error"))[0] as NodeJS.ErrnoException).code).toBe("ECONNREFUSED");
    await proxy.accept();
    expect(proxy.port).toBe(port);
    await open();
  });

  test("passes a peer's end on to the other side", async () => {
    const socket = await open();
    socket.write("bye");
    await receive(socket);
    socket.end();
    await once(socket, "close");
    await expect.poll(() => proxy.connections).toBe(0);
  });

  test("rewrites an address to go through itself", () => {
    expect(proxy.url("postgres://u:p@example.org:5432/app?x=1")).toBe(`postgres://u:p@127.0.0.1:${proxy.port}/app?x=1`);
  });
});
