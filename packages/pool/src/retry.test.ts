import { type Clock } from "@db/core";
import { describe, expect, test } from "vitest";
import { fullJitterMs, RetryBudget, type RetryDecision, withRetries } from "./retry.ts";

const options = { retries: 3, minDelayMs: 100, factor: 2, maxDelayMs: 1_000, budgetRatio: 0.1, budgetReserve: 20 };

function rig(decisions: readonly RetryDecision[]) {
  const slept: number[] = [];
  const clock: Clock = { now: () => 0, sleep: async (ms) => void slept.push(ms) };
  let next = 0;
  const plan = {
    options,
    clock,
    signal: undefined,
    decide: () => decisions[next++] ?? "backoff",
    retried: () => undefined,
  };
  return { plan, slept };
}

const failing =
  (times: number, error: unknown = new Error("no")) =>
  (attempt: number) =>
    attempt > times ? Promise.resolve(attempt) : Promise.reject(error as Error);

describe("withRetries", () => {
  test("returns the first success", async () => {
    const { plan, slept } = rig([]);
    expect(await withRetries(failing(2), plan)).toBe(3);
    expect(slept).toHaveLength(2);
    expect(slept.every((ms) => ms >= 0 && ms <= 200)).toBe(true);
  });

  test("gives up after its number of retries with the last error", async () => {
    const { plan, slept } = rig([]);
    await expect(withRetries(failing(9), plan)).rejects.toThrow("no");
    expect(slept).toHaveLength(3);
  });

  test("does not wait for what can be done at once, nor count it", async () => {
    const { plan, slept } = rig(["now", "now", "now", "now", "now"]);
    expect(await withRetries(failing(5), plan)).toBe(6);
    expect(slept).toEqual([]);
  });

  test("throws at once what may not be retried, unchanged, even what is no Error", async () => {
    for (const thrown of [new TypeError("a bug"), "a string", null]) {
      const { plan } = rig(["no"]);
      await expect(withRetries(failing(1, thrown), plan)).rejects.toBe(thrown);
    }
  });
});

describe("fullJitterMs", () => {
  test.each([
    { factor: 1, bounds: [100, 100, 100] },
    { factor: 1.5, bounds: [100, 150, 225] },
    { factor: 20, bounds: [100, 1_000, 1_000] },
  ])("grows its bound by a factor of $factor", ({ factor, bounds }) => {
    const drawn = [1, 2, 3].map((attempt) => fullJitterMs(attempt, { ...options, factor }, () => 1));
    expect(drawn).toEqual(bounds);
  });

  test("draws from the whole of a doubling bound", () => {
    expect([1, 2, 3, 9].map((attempt) => fullJitterMs(attempt, options, () => 0.999_999))).toEqual([
      expect.closeTo(100, 1),
      expect.closeTo(200, 1),
      expect.closeTo(400, 1),
      expect.closeTo(1_000, 1),
    ]);
    expect(fullJitterMs(3, options, () => 0)).toBe(0);
  });
});

describe("RetryBudget", () => {
  test("allows its reserve, then a share of the requests", () => {
    const budget = new RetryBudget({ budgetRatio: 0.1, budgetReserve: 2 });
    expect([budget.spend(), budget.spend(), budget.spend()]).toEqual([true, true, false]);
    for (let n = 0; n < 11; n += 1) budget.earn();
    expect([budget.spend(), budget.spend()]).toEqual([true, false]);
  });
});
