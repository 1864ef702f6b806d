import { expect, test } from "vitest";
import { StickySet } from "./sticky.ts";

test("keeps what was among the top for as long as asked", () => {
  const sticky = new StickySet({ keepMs: 1000, max: 10 });
  sticky.saw(["a", "b"], 0);
  sticky.saw(["b"], 500);
  expect(sticky.ids(1000)).toEqual(["a", "b"]);
  expect(sticky.ids(1001)).toEqual(["b"]);
});

test("lets go of what was away longest when it is full", () => {
  const sticky = new StickySet({ keepMs: 1000, max: 2 });
  sticky.saw(["a"], 0);
  sticky.saw(["b"], 1);
  sticky.saw(["a"], 2);
  sticky.saw(["c"], 3);
  expect(sticky.ids(4)).toEqual(["a", "c"]);
});
