import {
  copyRow,
  type CopyValue,
  type Dataset,
  type DatasetOptions,
  type GeneratedTable,
  resolveDatasetOptions,
} from "@db/example-datagen";
import { counties } from "../text/county.ts";
import { committees, houses, parties, tags } from "../text/parliament.ts";
import { makeAttention } from "./attention.ts";
import { makeBills } from "./bill.ts";
import { billTables } from "./bill-table.ts";
import { commentTable } from "./comment.ts";
import { engagementTable } from "./engagement.ts";
import { sizeOf } from "./size.ts";
import { makeMembers } from "./sponsor.ts";
import { transparencyTables } from "./transparency.ts";
import { makeUsers } from "./user.ts";

/**
 * Chanuka's whole content as COPY text. Nothing is read from the clock or the machine: the same seed and scale give
 * the same bytes anywhere.
 * @throws {InvalidDatasetOptionError}
 */
export function chanukaDataset(options: DatasetOptions = {}): Dataset {
  const { seed, scale } = resolveDatasetOptions(options);
  const size = sizeOf(scale);
  const members = makeMembers(seed, size);
  const users = makeUsers(seed, size);
  const bills = makeBills(seed, size, members);
  const attention = makeAttention(seed, bills);
  const tables = [
    ...referenceTables(),
    members.table,
    users.table,
    ...billTables(seed, size, bills),
    engagementTable(seed, size, bills, users, attention),
    commentTable(seed, size, bills, users, attention),
    ...transparencyTables(seed, size, bills, members),
  ];
  return { application: "chanuka", version: 1, seed, scale, tables };
}

function referenceTables(): GeneratedTable[] {
  const table = (name: string, columns: readonly string[], rows: readonly (readonly CopyValue[])[]): GeneratedTable => {
    return { name, columns, rows: rows.length, lines: () => rows.map(copyRow) };
  };
  const benches = houses.flatMap((house) => committees.map((name) => [name, house] as const));
  return [
    table(
      "counties",
      ["id", "name", "region"],
      counties.map(([name, region], i) => [i + 1, name, region]),
    ),
    table(
      "parties",
      ["id", "name", "abbreviation"],
      parties.map(([name, short], i) => [i + 1, name, short]),
    ),
    table(
      "committees",
      ["id", "name", "house"],
      benches.map(([name, house], i) => [i + 1, name, house]),
    ),
    table(
      "tags",
      ["id", "name"],
      tags.map((name, i) => [i + 1, name]),
    ),
  ];
}
