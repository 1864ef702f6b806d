import { createHash } from "node:crypto";
import type { GeneratedTable } from "@db/example-datagen";
import { describe, expect, test } from "vitest";
import { chanukaDataset } from "./dataset.ts";
import { faultRows, faults } from "./fault.ts";

const small = { scale: 0.02, seed: 2024 };

function digest(tables: readonly GeneratedTable[]): Record<string, string> {
  return Object.fromEntries(
    tables.map((table) => {
      const hash = createHash("sha256");
      for (const line of table.lines()) hash.update(line);
      return [table.name, hash.digest("hex").slice(0, 12)];
    }),
  );
}

function rowsOf(tables: readonly GeneratedTable[], name: string): string[][] {
  return [...tables.find((table) => table.name === name)!.lines()].map((line) => line.slice(0, -1).split("\t"));
}

describe("chanukaDataset", () => {
  test("gives the same bytes for the same seed, on every machine", () => {
    expect(digest(chanukaDataset(small).tables)).toMatchInlineSnapshot(`
      {
        "bill_affected_organizations": "e33089c321b8",
        "bill_comments": "184fbeff29e6",
        "bill_engagement": "e743d50e5f1c",
        "bill_sponsorships": "b1ab9a9b9c41",
        "bill_status_changes": "3798bfcf5e7a",
        "bill_tags": "a8427908eccb",
        "bills": "6165d929d562",
        "committees": "9e2e740307b3",
        "conflicts_of_interest": "fe34dd22cb07",
        "counties": "86b112a9ae32",
        "financial_disclosures": "c1bda5004b45",
        "organizations": "badf4a94ea48",
        "parties": "3ef6756a44ae",
        "sponsors": "76200d52a417",
        "tags": "db620beb2a94",
        "users": "4677e4789379",
      }
    `);
  });

  test("gives other people, bills and clicks for another seed, and the same parliament", () => {
    const one = digest(chanukaDataset(small).tables);
    const other = digest(chanukaDataset({ ...small, seed: 7 }).tables);
    const same = Object.keys(one).filter((table) => one[table] === other[table]);
    expect(same).toEqual(["counties", "parties", "committees", "tags"]);
  });

  test("is 20,000 bills, 5,000 users and 500,000 engagement rows by default", () => {
    const rows = Object.fromEntries(chanukaDataset().tables.map((table) => [table.name, table.rows]));
    expect(rows).toMatchObject({
      bills: 20_000,
      users: 5_000,
      bill_engagement: 500_000,
      sponsors: 1_800,
      counties: 47,
    });
  });

  test.each([0.01, 0.3])("gives as many rows as it says, at scale %d", (scale) => {
    for (const table of chanukaDataset({ scale }).tables) {
      let rows = 0;
      for (const _ of table.lines()) rows++;
      expect([table.name, rows]).toEqual([table.name, table.rows]);
    }
  });

  test("every row has a value for each column", () => {
    for (const table of chanukaDataset(small).tables) {
      for (const line of table.lines()) expect(line.split("\t")).toHaveLength(table.columns.length);
    }
  });

  test("few bills get most of the attention", () => {
    const seen = new Map<string, number>();
    const rows = rowsOf(chanukaDataset({ scale: 0.1 }).tables, "bill_engagement");
    for (const [, bill] of rows) seen.set(bill!, (seen.get(bill!) ?? 0) + 1);
    const counts = [...seen.values()].toSorted((a, b) => b - a);
    const top = counts.slice(0, Math.floor(2_000 / 20)).reduce((a, b) => a + b, 0);
    expect(top / rows.length).toBeGreaterThan(0.33);
  });

  test("nobody acts before the bill was introduced, and ids rise with time", () => {
    const { tables } = chanukaDataset(small);
    const introduced = new Map(rowsOf(tables, "bills").map((row) => [row[0]!, row[10]!]));
    let last = "";
    for (const [, bill, , , , , at] of rowsOf(tables, "bill_engagement")) {
      const date = introduced.get(bill!);
      if (date !== undefined && date !== "\\N") expect(at! >= date).toBe(true);
      expect(at! >= last).toBe(true);
      last = at!;
    }
  });

  test("writes the title of a county's bill in full", () => {
    const titles = rowsOf(chanukaDataset(small).tables, "bills").map((row) => row[2]!);
    expect(titles.slice(0, 400).filter((title) => /^The .+ Bill, 20\d\d$/.test(title))).toHaveLength(400);
    expect(titles).toContainEqual(expect.stringMatching(/^The [A-Z].+ County .+ \(Amendment\) Bill, 20\d\d$/));
  });
});

describe("faults", () => {
  test("grow with the scale where their table does, and are never none", () => {
    expect(faultRows("engagement-without-bill", 1)).toBe(125);
    expect(faultRows("engagement-without-bill", 0.001)).toBe(1);
    expect(faultRows("engagement-without-bill", 100)).toBe(12_500);
    expect(faultRows("negative-disclosure", 100)).toBe(12);
  });

  test("name tables of the dataset", () => {
    const names = chanukaDataset(small).tables.map((table) => table.name);
    for (const fault of faults) expect(names).toContain(fault.table);
  });
});
