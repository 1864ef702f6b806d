import { describe, expect, test } from "vitest";
import { chainOf } from "./checksum.ts";
import { findChainBreak, lastLink, relink } from "./history-chain.ts";

type Row = Parameters<typeof findChainBreak>[0][number];

function rows(...ids: string[]): Row[] {
  let chain: string | null = null;
  return ids.map((id) => {
    chain = chainOf(chain, `sum of ${id}`);
    return { id, kind: "versioned", state: "applied", checksum: `sum of ${id}`, chain };
  });
}

describe("findChainBreak", () => {
  test("holds for what was applied, before and after the newest were undone", () => {
    const history = rows("1", "2", "3");
    expect(findChainBreak([])).toBeNull();
    expect(findChainBreak(history)).toBeNull();
    expect(findChainBreak(history.slice(0, 2))).toBeNull();
    expect(findChainBreak(history.map((row) => (row.id === "3" ? { ...row, state: "reverted" } : row)))).toBeNull();
  });

  test.for<[string, (history: Row[]) => Row[], string, string | null]>([
    ["deleted", ([one, , ...rest]) => [one!, ...rest], "3", "1"],
    ["deleted at the head", (history) => history.slice(1), "2", null],
    ["inserted", ([one, ...rest]) => [one!, { ...one!, id: "x", chain: "made up" }, ...rest], "x", "1"],
    ["reordered", ([one, two, ...rest]) => [two!, one!, ...rest], "2", null],
    ["edited", ([one, ...rest]) => [{ ...one!, checksum: "other" }, ...rest], "1", null],
    ["without its link", ([one, two, ...rest]) => [one!, { ...two!, chain: null }, ...rest], "2", "1"],
  ])("tells of a row %s, and which row does not follow", ([, change, id, previous]) => {
    expect(findChainBreak(change(rows("1", "2", "3", "4")))).toEqual({ id, previous });
  });

  test("leaves repeatables and what failed out", () => {
    const [one, two] = rows("1", "2") as [Row, Row];
    const repeatable: Row = { id: "R__v", kind: "repeatable", state: "applied", checksum: "r", chain: null };
    const failed: Row = { ...one, id: "9", state: "failed", chain: "whatever" };
    expect(findChainBreak([one, repeatable, failed, two])).toBeNull();
    expect(lastLink([one, two, repeatable, failed])).toBe(two.chain);
  });
});

test("relink gives the links that hold for the rows as they are", () => {
  const [, two, three] = rows("1", "2", "3") as [Row, Row, Row];
  const links = relink([two, three]);
  const mended = [two, three].map((row, index) => ({ ...row, chain: links[index]!.chain }));
  expect(findChainBreak(mended)).toBeNull();
});
