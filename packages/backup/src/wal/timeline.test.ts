import { parseLsn } from "@db/core";
import { expect, test } from "vitest";
import { parseSegmentHeader, parseWalName, partialName, segmentStart } from "./segment.ts";
import { continueArchive } from "./start-position.ts";
import { parseTimelineHistory, timelinePath } from "./timeline.ts";

const history = parseTimelineHistory(
  "1\t0/5000A0\tno recovery target specified\n\n# a comment\n2\t0/9000128\tby hand\n",
);

test("reads a history, the oldest ancestor first", () => {
  expect(history).toEqual([
    { timeline: 1, switchLsn: "0/5000A0" },
    { timeline: 2, switchLsn: "0/9000128" },
  ]);
});

test("leads from a backup over every fork, and not from one taken after its timeline was left", () => {
  expect(timelinePath({ timeline: 1, lsn: parseLsn("0/200028") }, 3, history)).toEqual([
    { timeline: 1, from: 0x200028n, to: 0x5000a0n },
    { timeline: 2, from: 0x5000a0n, to: 0x9000128n },
    { timeline: 3, from: 0x9000128n, to: null },
  ]);
  expect(timelinePath({ timeline: 1, lsn: parseLsn("0/6000000") }, 3, history)).toBeUndefined();
  expect(timelinePath({ timeline: 4, lsn: 0n }, 3, history)).toBeUndefined();
});

test.each([
  ["00000001000000A1000000FF", { kind: "segment", timeline: 1 }],
  ["00000001000000A1000000FF.partial", { kind: "partial", timeline: 1 }],
  ["00000001000000A1000000FF.partial-0000A000", { kind: "partial", partialBytes: 0xa000 }],
  ["00000001000000A1000000FF.00000028.backup", { kind: "label", timeline: 1 }],
  ["0000000A.history", { kind: "history", timeline: 10 }],
])("knows %s", (name, expected) => {
  expect(parseWalName(name)).toMatchObject(expected);
});

test.each(["", "..", "00000001000000A1000000F", "00000001000000a1000000ff", "x.history", "../00000001.history"])(
  'does not take "%s" for a WAL file',
  (name) => {
    expect(parseWalName(name)).toBeUndefined();
  },
);

test("counts positions by the cluster's own segment size", () => {
  expect(segmentStart("0000000100000001000000FF", 16 * 1024 * 1024)).toBe(parseLsn("1/FF000000"));
  expect(segmentStart("000000010000000100000003", 1024 ** 3)).toBe(parseLsn("1/C0000000"));
  expect(partialName("0000000100000001000000FF", 8192)).toBe("0000000100000001000000FF.partial-00002000");
  expect(parseSegmentHeader(Buffer.alloc(40))).toBeUndefined();
});

test("streaming goes on behind the archive's newest segment, and from the fork where the old primary went further", () => {
  const segmentBytes = 1024 * 1024;
  const listing = (...segments: string[]): never => ({ segments: new Set(segments) }) as never;
  const server = { timeline: 3, segmentBytes };
  const first = "000000010000000000000004";
  expect(continueArchive(listing(first), server, history)).toEqual({ timeline: 1, lsn: 0x500000n });
  // The fork lies in segment 5, which the old primary filled and its successor never had.
  const further = listing(first, "000000010000000000000005");
  expect(continueArchive(further, server, history)).toEqual({ timeline: 2, lsn: 0x500000n });
  expect(continueArchive(listing(first, "000000030000000000000091"), server, history)).toEqual({
    timeline: 3,
    lsn: 0x9200000n,
  });
  expect(continueArchive(listing(), server, history)).toBeUndefined();
});
