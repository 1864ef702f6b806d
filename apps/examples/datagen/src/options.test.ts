import { expect, test } from "vitest";
import { resolveDatasetOptions } from "./options.ts";

test("defaults to one fixed dataset of the default size", () => {
  expect(resolveDatasetOptions()).toEqual({ seed: 2024, scale: 1 });
});

test.each([{ scale: 0 }, { scale: 101 }, { scale: Number.NaN }, { seed: -1 }, { seed: 1.5 }])(
  "refuses %o",
  (options) => {
    expect(() => resolveDatasetOptions(options)).toThrow(expect.objectContaining({ code: "EXAMPLE_INVALID_OPTION" }));
  },
);
