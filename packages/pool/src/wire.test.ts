import { EventEmitter } from "node:events";
import type pg from "pg";
import { expect, test } from "vitest";
import { type MessageReader, Wire } from "./wire.ts";

function frame(type: string, body: string): Buffer {
  const bytes = Buffer.alloc(5 + body.length);
  bytes.write(type, 0);
  bytes.writeInt32BE(4 + body.length, 1);
  bytes.write(body, 5);
  return bytes;
}

/** A socket pg reads from, with a lane on it that awaits the answers of `answers` statements. */
function wired(answers: number): { receive: (chunk: Buffer) => void; lane: string[]; pg: () => string; wire: Wire } {
  const stream = Object.assign(new EventEmitter(), { writable: true, write: () => true, destroy: () => undefined });
  const passed: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => passed.push(chunk));
  const client = { connection: { stream }, query: () => undefined } as unknown as pg.Client;
  const wire = Wire.attach(client)()!;
  const lane: string[] = [];
  let left = answers;
  const reader: MessageReader = {
    get awaits() {
      return left > 0;
    },
    message: (type, bytes, start, end) => {
      const letter = String.fromCharCode(type);
      lane.push(`${letter}${bytes.toString("latin1", start, end)}`);
      if (letter === "Z") left -= 1;
    },
  };
  wire.reader = reader;
  wire.desynchronized = () => lane.push("lost");
  return {
    receive: (chunk) => void stream.emit("data", chunk),
    lane,
    pg: () => Buffer.concat(passed).toString("latin1"),
    wire,
  };
}

const answer = [frame("2", ""), frame("D", "a row"), frame("C", "SELECT 1"), frame("Z", "I")];
const notice = frame("N", "something else");
const stream = Buffer.concat([...answer, ...answer, notice]);
const expected = ["2", "Da row", "CSELECT 1", "ZI", "2", "Da row", "CSELECT 1", "ZI"];

test("gives a lane its answers, and pg what comes after them, wherever the network cuts", () => {
  for (let cut = 0; cut <= stream.length; cut += 1) {
    const { receive, lane, pg, wire } = wired(2);
    receive(stream.subarray(0, cut));
    receive(stream.subarray(cut));
    expect(lane).toEqual(expected);
    expect(pg()).toBe(notice.toString("latin1"));
    expect(wire.free).toBe(true);
  }
});

test("reads a byte at a time", () => {
  const { receive, lane, pg } = wired(2);
  for (const byte of stream) receive(Buffer.from([byte]));
  expect(lane).toEqual(expected);
  expect(pg()).toBe(notice.toString("latin1"));
});

test("is not free for a lane while pg is in the middle of a message", () => {
  const { receive, wire, pg } = wired(0);
  for (const [index, byte] of notice.entries()) {
    receive(Buffer.from([byte]));
    expect(wire.free).toBe(index === notice.length - 1);
  }
  expect(pg()).toBe(notice.toString("latin1"));
});

test.each([Buffer.from("HTTP/1.1 400 Bad Request"), frame("!", "?"), Buffer.from([0x44, 0, 0, 0, 1, 0])])(
  "tells what is no message: %o",
  (garbage) => {
    const { receive, lane } = wired(1);
    receive(garbage);
    expect(lane).toEqual(["lost"]);
  },
);

test.each([Buffer.from("HTTP/1.1 400 Bad Request"), frame("!", "?"), Buffer.from([0x44, 0, 0, 0, 1, 0])])(
  "keeps from pg what is no message, and all that comes after it: %o",
  (garbage) => {
    for (let cut = 0; cut <= garbage.length; cut += 1) {
      const { receive, lane, pg } = wired(0);
      receive(notice);
      receive(garbage.subarray(0, cut));
      receive(garbage.subarray(cut));
      receive(notice);
      expect(lane).toEqual(["lost"]);
      // A header that came alone may have been passed on before its length was whole.
      expect(pg().slice(notice.length).length).toBeLessThan(5);
      expect(pg().startsWith(notice.toString("latin1"))).toBe(true);
    }
  },
);
