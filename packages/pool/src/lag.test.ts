import { describe, expect, test } from "vitest";
import { PrimaryPositions } from "./lag.ts";

describe("PrimaryPositions", () => {
  test("tells lag as the time since the first position the replica has not reached", () => {
    const positions = new PrimaryPositions();
    for (let n = 1; n <= 10; n += 1) positions.add(`0/${(n * 16).toString(16)}`, n * 1_000);
    expect(positions.lagOf("0/A0", 10_500)).toEqual({ lagBytes: 0, lagMs: 0 });
    expect(positions.lagOf("0/50", 10_500)).toEqual({ lagBytes: 80, lagMs: 4_500 });
    expect(positions.lagOf("0/1", 10_500)).toEqual({ lagBytes: 159, lagMs: 9_500 });
  });

  test("does not grow while the primary is idle", () => {
    const positions = new PrimaryPositions();
    positions.add("0/10", 0);
    positions.add("0/10", 3_600_000);
    expect(positions.lagOf("0/10", 3_600_000)?.lagMs).toBe(0);
    positions.add("0/20", 3_600_500);
    expect(positions.lagOf("0/10", 3_600_600)?.lagMs).toBe(100);
  });

  test("begins anew below a promotion and stays within its memory", () => {
    const positions = new PrimaryPositions(10);
    for (let n = 1; n <= 1_000; n += 1) positions.add(`0/${n.toString(16)}`, n);
    expect(positions.lagOf("0/1", 1_000)!.lagMs).toBeLessThan(11);
    positions.add("0/5", 2_000);
    expect(positions.latest).toBe("0/5");
    expect(positions.lagOf("0/9", 2_000)).toEqual({ lagBytes: 0, lagMs: 0 });
  });

  test("knows nothing before the primary was seen", () => {
    expect(new PrimaryPositions().lagOf("0/1", 0)).toBeUndefined();
  });
});
