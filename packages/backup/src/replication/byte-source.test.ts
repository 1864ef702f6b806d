import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ByteSource, StreamSource, StretchSocket } from "./byte-source.ts";
import { FrameReader } from "./frame-reader.ts";

// Shorter and longer than a stretch and than the room before it, the ends of frames everywhere.
const sizes = [0, 1, 32_768, 131_097, 3, 262_144, 700_000, 163_840, 163_841, 5, ...Array<number>(200).fill(32_773)];
let server: Server;
let sent: Socket;
let wire: Buffer;

beforeEach(async () => {
  const frames = sizes.map((size, index) => {
    const frame = Buffer.alloc(5 + size, index);
    frame.write("d", "latin1");
    frame.writeInt32BE(size + 4, 1);
    return frame;
  });
  wire = Buffer.concat(frames);
  server = createServer((socket) => (sent = socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterEach(async () => {
  sent.destroy();
  server.close();
  await once(server, "close");
});

const sources: Record<string, () => { readonly socket: Socket; readonly source: ByteSource }> = {
  stretches: () => {
    const source = new StretchSocket();
    return { socket: source.socket, source };
  },
  chunks: () => {
    const socket = new Socket();
    return { socket, source: new StreamSource(socket) };
  },
};

test.each(Object.keys(sources))("every frame arrives whole by %s, and no faster than it is asked for", async (kind) => {
  const { socket, source } = sources[kind]!();
  socket.connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(socket, "connect");
  const reader = new FrameReader(source);
  sent.end(wire);
  for (const [index, size] of sizes.entries()) {
    // The socket has time to write over what is still in use, if it did.
    const { type, body } = await reader.next();
    await new Promise((resolve) => setImmediate(resolve));
    expect([type, body.length, digest(body)]).toEqual(["d", size, digest(Buffer.alloc(size, index))]);
    // Two stretches and what the system holds: not all of it.
    if (index === 0) expect(socket.bytesRead).toBeLessThan(wire.length / 2);
  }
  await expect(reader.next()).rejects.toMatchObject({ code: "BACKUP_CONNECTION" });
  socket.destroy();
});

test("before the takeover a socket gives its bytes to whoever listens", async () => {
  const { socket } = new StretchSocket();
  socket.connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(socket, "connect");
  const heard = once(socket, "data");
  sent.write("N");
  expect(String((await heard)[0])).toBe("N");
  socket.destroy();
});

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
