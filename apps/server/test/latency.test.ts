import type { Snapshot } from "@db/orchestrator";
import { describe, expect, test } from "vitest";
import { createLatencyMemory, quantile, sumOf } from "../src/latency.ts";
import { lockTree } from "../src/pages/activity.ts";
import { scrub } from "../src/problem.ts";
import { createStatementMemory } from "../src/statement-memory.ts";

const bounds = [0.001, 0.01, 0.1];
const histogram = (...counts: number[]) => ({ bounds, counts });

describe("latency", () => {
  test("a quantile lies where the histogram says, and within its bucket in proportion", () => {
    expect(quantile(histogram(0, 100, 100, 100), 0.5)).toBeCloseTo(0.0055);
    expect(quantile(histogram(50, 50, 100, 100), 0.5)).toBeCloseTo(0.001);
    expect(quantile(histogram(0, 0, 0, 10), 0.5)).toBe(0.1);
    expect(quantile(histogram(0, 0, 0, 0), 0.5)).toBeNull();
  });

  test("each moment tells of what happened since the one before, and a pool that began anew is no negative", () => {
    const memory = createLatencyMemory();
    memory.record(0, histogram(1_000, 1_000, 1_000, 1_000), histogram(0, 0, 0, 0));
    memory.record(10_000, histogram(1_000, 1_000, 1_100, 1_100), histogram(0, 0, 0, 0));
    memory.record(20_000, histogram(10, 10, 10, 10), histogram(0, 0, 0, 0));
    const [first, second] = memory.between(0, 30_000);
    expect(first).toMatchObject({ perSecond: 10, wait: { p95: null } });
    expect(first!.statement.p50).toBeCloseTo(0.055);
    expect(second!.statement.p99).toBeLessThanOrEqual(0.001);
    expect(sumOf([histogram(1, 2, 3, 4), histogram(1, 1, 1, 1)]).counts).toEqual([2, 3, 4, 5]);
  });
});

describe("the tree of locks", () => {
  test("puts whoever waits below whoever holds, ends at a circle, and begins with the largest", () => {
    const row = (pid: number, blockedBy: string | null) => ({
      pid,
      blockedBy,
      user: "app",
      application: null,
      state: "active",
      awaits: null,
      waitSeconds: 1,
      transactionSeconds: 2,
      query: "",
      backendStart: null,
    });
    const tree = lockTree(
      [row(1, null), row(2, "1"), row(3, "2,1"), row(9, null), row(4, "5"), row(5, "4")],
      () => false,
    );
    expect(tree.map(({ pid, blocks }) => [pid, blocks.map((each) => [each.pid, each.blocks.length])])).toEqual([
      [
        1,
        [
          [2, 1],
          [3, 0],
        ],
      ],
      [9, []],
    ]);
  });
});

describe("statements of a window", () => {
  const snapshot = (seconds: number, calls: number, totalSeconds: number): Snapshot => {
    const asOf = new Date(seconds * 1_000).toISOString();
    const statement = {
      queryId: "7",
      user: "u",
      database: "d",
      calls,
      totalSeconds,
      rows: 0,
      sharedBlocksHit: 0,
      sharedBlocksRead: 0,
      tempBlocksWritten: 0,
      own: false,
    };
    const block = {
      collector: "statements",
      tier: "T1" as const,
      asOf,
      ageMs: 0,
      everyMs: 60_000,
      durationMs: 1,
      success: true,
      tables: [],
    };
    return {
      asOf,
      blocks: [],
      families: [],
      servers: [
        {
          name: "primary",
          up: true,
          role: "primary",
          versionNum: 180_000,
          durationMs: 1,
          blocks: [block],
          facts: { statements: { state: "ready", top: [statement] } },
        },
      ],
    };
  };

  test("count only what happened in it, and tell the course", () => {
    const memory = createStatementMemory();
    for (let minute = 0; minute <= 20; minute += 1) memory.record(snapshot(minute * 60, minute * 10, minute * 6));
    const now = snapshot(20 * 60, 200, 120);
    const { rows, seconds } = memory.ranked(now, "5min", 10);
    expect([rows[0]!.calls, seconds]).toEqual([50, 300]);
    expect(memory.ranked(now, "all", 10).rows[0]!.calls).toBe(200);
    expect(memory.course("7").at(-1)).toMatchObject({ share: 0.1 });
    expect(memory.course("8").at(-1)).toMatchObject({ share: null });
  });
});

describe("a message for strangers", () => {
  test("loses literals, paths, addresses and connection strings", () => {
    const text = scrub(
      "cannot read /srv/backups/key.pem on 10.0.0.7:5432 with 'hunter2' at postgres://u:pw@h/d\n    at run (/x/y.ts:1:2)",
    );
    expect(text).not.toMatch(/srv|10\.0|hunter2|pw|y\.ts/);
  });
});
