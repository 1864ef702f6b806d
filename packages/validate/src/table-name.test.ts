import { expect, test } from "vitest";
import { splitTableName } from "./table-name.ts";

test.each([
  ["bills", ["bills"]],
  ["public.bills", ["public", "bills"]],
  ["Civic.Odd Name", ["Civic", "Odd Name"]],
  ['"a.b"."c""d"', ["a.b", 'c"d']],
  ["a.b.c", ["a", "b", "c"]],
])("%s names %j", (name, parts) => {
  expect(splitTableName(name)).toEqual(parts);
});
