import { expect, test } from "vitest";
import { nearMatch } from "./near-match.ts";

test.each([
  ["bils", ["bills", "sponsors"], "bills"],
  ["amonut", ["amount", "about"], "amount"],
  ["Title", ["title"], "title"],
  ["x", ["y", "name"], "y"],
  ["uniqe", ["unique"], "unique"],
  ["wholly_other", ["bills", "sponsors"], undefined],
  ["a", [], undefined],
])("the name nearest to %s among %j is %s", (wanted, names, expected) => {
  expect(nearMatch(wanted, names)).toBe(expected);
});
