import type { IndexDefinition, IndexRecommendation } from "@db/indexer";
import { describe, expect, test } from "vitest";
import { mergeAdvice } from "./index-advice.ts";

const advice = (
  name: string,
  columns: readonly string[],
  more: Partial<IndexDefinition> = {},
  gain: number | null = null,
): IndexRecommendation => ({
  id: name,
  definition: { name, table: "bills", keys: columns.map((column) => ({ column })), ...more },
  ddl: [],
  undo: "",
  why: "",
  origin: gain === null ? "pack" : "workload",
  helps: gain === null ? [] : [{ id: "1", text: "", calls: 1, totalMs: 100, costBefore: 1, costAfter: 0 }],
  gain,
  engine: null,
  estimatedBytes: null,
  confidence: "medium",
});
const names = (merged: readonly IndexRecommendation[]) => merged.map(({ id }) => id);

describe("mergeAdvice", () => {
  test("does not recommend again what an index of the pack serves, in whatever order of keys", () => {
    const pack = [advice("pack_idx", ["house", "status", "introduced_on"])];
    const workload = [advice("workload_idx", ["status", "house"], {}, 0.9)];
    const merged = mergeAdvice(workload, pack);
    expect(names(merged)).toEqual(["pack_idx"]);
    expect(merged[0]!.gain).toBe(0.9);
  });

  test("keeps what no index of the pack serves, the most time saved first", () => {
    const merged = mergeAdvice(
      [advice("a", ["county_id"], {}, 0.5)],
      [advice("p", ["house"]), advice("q", ["county_id"], { method: "brin" })],
    );
    expect(names(merged)).toEqual(["a", "p", "q"]);
  });

  test("never gives two indexes one name", () => {
    expect(mergeAdvice([advice("same", ["x"], {}, 0.4)], [advice("same", ["y"], { method: "brin" })])).toHaveLength(1);
  });
});
