import type { Random } from "@db/example-datagen";
import type { Sector } from "./parliament.ts";

const places: readonly string[] = [
  "Athi",
  "Bahari",
  "Chyulu",
  "Elementaita",
  "Galana",
  "Highlands",
  "Jua",
  "Kilima",
  "Lakeview",
  "Mashariki",
  "Mawingu",
  "Mto",
  "Nyali",
  "Pwani",
  "Rift",
  "Sabaki",
  "Savannah",
  "Taru",
  "Tsavo",
  "Ukwala",
  "Upendo",
  "Yatta",
  "Zebra",
  "Ziwa",
];
const trades: Readonly<Record<Sector, readonly string[]>> = {
  finance: ["Savings Bank", "Insurance", "Capital", "Leasing"],
  health: ["Hospitals", "Pharmaceuticals", "Diagnostics"],
  education: ["Academies", "Publishers", "Learning"],
  agriculture: ["Sugar Mills", "Tea Factories", "Dairies", "Coffee Growers"],
  environment: ["Timber", "Minerals", "Recycling"],
  transport: ["Hauliers", "Shuttles", "Airways", "Road Works"],
  energy: ["Power", "Solar", "Petroleum"],
  property: ["Homes", "Estates", "Cement"],
  technology: ["Networks", "Systems", "Mobile"],
  trade: ["Wholesalers", "Distillers", "Traders"],
  water: ["Water Works", "Fisheries", "Bottlers"],
  tourism: ["Safaris", "Lodges", "Studios"],
};

/** An invented firm's name; `ordinal` keeps two of one kind apart. */
export function firmName(random: Random, sector: Sector, ordinal: number): string {
  const suffix = ordinal < places.length ? "" : ` (${Math.floor(ordinal / places.length) + 1})`;
  return `${places[ordinal % places.length]} ${random.pick(trades[sector])}${suffix} Ltd`;
}
