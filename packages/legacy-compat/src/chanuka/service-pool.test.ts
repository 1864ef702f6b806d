import { describe, expect, test } from "vitest";
import { retryDelayMs } from "./service-pool.ts";

describe("the wait before a retry", () => {
  test("is 100 ms at first and doubles up to 5 s", () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7].map(retryDelayMs)).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  });
});
