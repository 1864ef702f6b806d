import { describe, expect, test } from "vitest";
import { leastBusy } from "./balance.ts";
import { type Candidate, chooseReplica, unfitness } from "./routing.ts";

const limits = { maxReplicaLagMs: 1_000, maxReplicaLagBytes: 1_000 };
const standby = (of: Partial<Candidate> = {}): Candidate => ({
  role: "standby",
  state: "up",
  lag: { lagMs: 0, lagBytes: 0 },
  inFlight: 0,
  weight: 1,
  breaker: { state: "closed" },
  ...of,
});

describe("unfitness", () => {
  test.each([
    [{ role: "primary" }, "is a primary"],
    [{ state: "suspect" }, "left its last probe unanswered"],
    [{ state: "down" }, "is down"],
    [{ state: "refused" }, "is refused"],
    [{ weight: 0 }, "it is to serve no reads"],
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
    expect(chooseReplica([standby({ inFlight: 3 }), free, standby({ state: "down" })], limits, false, leastBusy)).toBe(
      free,
    );
  });

  test("falls back to an ailing one only as the last resort, and never to one that is down or does not belong", () => {
    const ailing = standby({ state: "suspect" });
    expect(chooseReplica([ailing], limits, false, leastBusy)).toBeUndefined();
    expect(
      chooseReplica([ailing, standby({ state: "down" }), standby({ state: "refused" })], limits, true, leastBusy),
    ).toBe(ailing);
  });
});
