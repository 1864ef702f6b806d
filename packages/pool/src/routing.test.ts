import { describe, expect, test } from "vitest";
import { type Candidate, chooseReplica, leastBusy, unfitness } from "./routing.ts";

const limits = { maxReplicaLagMs: 1_000, maxReplicaLagBytes: 1_000 };
const standby = (of: Partial<Candidate> = {}): Candidate => ({
  role: "standby",
  state: "up",
  lag: { lagMs: 0, lagBytes: 0 },
  inFlight: 0,
  breaker: { state: "closed" },
  ...of,
});

describe("unfitness", () => {
  test.each([
    [{ role: "primary" }, "is a primary"],
    [{ state: "suspect" }, "left its last probe unanswered"],
    [{ state: "down" }, "is down"],
    [{ state: "refused" }, "is refused"],
    [{ breaker: { state: "open" } }, "its circuit is open"],
    [{ lag: { lagMs: 1_500.4, lagBytes: 1 } }, "lags 1500 ms"],
    [{ lag: { lagMs: 1, lagBytes: 5_000 } }, "lags 5000 bytes"],
    [{ lag: undefined }, undefined],
    [{ breaker: { state: "half-open" } }, undefined],
  ] as const)("of %j is %s", (of, expected) => {
    expect(unfitness(standby(of), limits)).toBe(expected);
  });
});

describe("chooseReplica", () => {
  test("prefers the least busy of the fit", () => {
    const free = standby({ inFlight: 1 });
    expect(chooseReplica([standby({ inFlight: 3 }), free, standby({ state: "down" })], limits, false)).toBe(free);
  });

  test("spreads evenly over equals", () => {
    const three = [standby(), standby(), standby()];
    const counts = new Map(three.map((each) => [each, 0]));
    for (let n = 0; n < 3_000; n += 1) {
      const chosen = leastBusy(three)!;
      counts.set(chosen, counts.get(chosen)! + 1);
    }
    for (const count of counts.values()) expect(count).toBeGreaterThan(850);
  });

  test("falls back to an ailing one only as the last resort, and never to one that is down or does not belong", () => {
    const ailing = standby({ state: "suspect" });
    expect(chooseReplica([ailing], limits, false)).toBeUndefined();
    expect(chooseReplica([ailing, standby({ state: "down" }), standby({ state: "refused" })], limits, true)).toBe(
      ailing,
    );
  });
});
