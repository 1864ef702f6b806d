import { expect, test } from "vitest";
import { suggest } from "./suggestion.ts";

const names = ["pool-row", "pool-errors", "migrate-noop", "migrate-500", "backup-full"];

test.each([
  ["pool-rows", "pool-row"],
  ["poolerrors", "pool-errors"],
  ["migrate-no-op", "migrate-noop"],
  ["BACKUP", "backup-full"],
  ["zzz", undefined],
  ["", undefined],
])("for %j suggests %s", (word, meant) => {
  expect(suggest(word, names)).toBe(meant);
});
