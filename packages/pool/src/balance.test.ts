import { describe, expect, test } from "vitest";
import { createBalancer, type LoadBalance } from "./balance.ts";

interface Named {
  readonly name: string;
  readonly weight: number;
  inFlight: number;
}
const servers = (...weights: readonly number[]): Named[] =>
  weights.map((weight, index) => ({ name: "abc"[index]!, weight, inFlight: 0 }));

/** Who was chosen, in order, each choice staying in flight when `busy`. */
function choices(strategy: LoadBalance, of: Named[], count: number, busy = false): string {
  const balance = createBalancer(strategy);
  let chosen = "";
  for (let n = 0; n < count; n += 1) {
    const one = balance(of)!;
    if (busy) one.inFlight += 1;
    chosen += one.name;
  }
  return chosen;
}
const share = (chosen: string, name: string): number => chosen.split(name).length - 1;

describe("createBalancer", () => {
  test("takes the least in flight, by weight, and spreads evenly over equals", () => {
    const chosen = choices("least-in-flight", servers(1, 1, 1), 3_000);
    for (const name of "abc") expect(share(chosen, name)).toBeGreaterThan(850);
    const weighted = choices("least-in-flight", servers(3, 1), 40, true);
    expect([share(weighted, "a"), share(weighted, "b")]).toEqual([30, 10]);
  });

  test("goes round, by weight without bursts, in order, or at random", () => {
    expect(choices("round-robin", servers(1, 9, 1), 6)).toBe("abcabc");
    expect(choices("weighted", servers(3, 1), 8)).toBe("aabaaaba");
    expect(choices("in-order", servers(1, 1), 4)).toBe("aaaa");
    expect(share(choices("random", servers(1, 1), 1_000), "a")).toBeGreaterThan(350);
  });

  test("chooses nobody of none", () => {
    for (const strategy of ["least-in-flight", "round-robin", "weighted", "in-order", "random"] as const) {
      expect(createBalancer(strategy)([])).toBeUndefined();
    }
  });
});
