import { copyRow, createRandom, dayOf, type GeneratedTable, personName } from "@db/example-datagen";
import { counties } from "../text/county.ts";
import { houses, parties, termEnds, termStarts } from "../text/parliament.ts";
import type { Size } from "./size.ts";

/** Members of a house, told by the terms they sat in. */
export interface Members {
  readonly table: GeneratedTable;
  readonly count: number;
  readonly firstTerm: Uint8Array;
  readonly lastTerm: Uint8Array;
  /** Ids of who sat in a house (and county, from 1, for a county assembly) in a term, from 0. Never empty. */
  sitting(house: number, county: number, term: number): readonly number[];
}

const terms = termStarts.length;

/** Every house is filled for every term; about two in five members come back after an election. */
export function makeMembers(seed: number, size: Size): Members {
  const random = createRandom(seed, "sponsors");
  const count = size.sponsors;
  const house = new Uint8Array(count + 1);
  const county = new Uint8Array(count + 1);
  const firstTerm = new Uint8Array(count + 1);
  const lastTerm = new Uint8Array(count + 1);
  const seats = new Map<number, number[]>();
  const seatKey = (house: number, county: number, term: number): number => (house * 64 + county) * terms + term;
  for (let id = 1; id <= count; id++) {
    const place = id % 12;
    house[id] = place < 3 ? 0 : place === 3 ? 1 : 2;
    // Each dozen is of one term: three of the National Assembly, one senator, eight of county assemblies.
    const dozen = Math.floor(id / 12);
    const first = dozen % terms;
    county[id] = ((Math.floor(dozen / terms) * 8 + place) % counties.length) + 1;
    firstTerm[id] = first;
    lastTerm[id] = Math.min(terms - 1, random.chance(0.4) ? first + 1 : first);
    for (let term = first; term <= lastTerm[id]!; term++) {
      const key = seatKey(house[id]!, house[id] === 2 ? county[id]! : 0, term);
      seats.set(key, [...(seats.get(key) ?? []), id]);
    }
  }
  const sitting = (house: number, county: number, term: number): readonly number[] =>
    seats.get(seatKey(house, house === 2 ? county : 0, term)) ?? seats.get(seatKey(0, 0, term))!;
  function* lines(): Generator<string> {
    const names = createRandom(seed, "sponsor names");
    for (let id = 1; id <= count; id++) {
      const left = termEnds[lastTerm[id]!];
      yield copyRow([
        id,
        personName(names),
        houses[house[id]!]!,
        county[id]!,
        names.skewed(parties.length, 2) + 1,
        termStarts[firstTerm[id]!]!,
        left ?? null,
      ]);
    }
  }
  const columns = ["id", "name", "house", "county_id", "party_id", "elected_on", "left_on"];
  return { table: { name: "sponsors", columns, rows: count, lines }, count, firstTerm, lastTerm, sitting };
}

/** The term a day falls in, from 0; the months between two houses belong to the one before. */
export function termOf(day: number): number {
  let term = 0;
  for (let i = 1; i < terms; i++) if (day >= startDays[i]!) term = i;
  return term;
}

/** The day the term's house was dissolved; never, for the last. */
export function dissolutionOf(term: number): number {
  const end = termEnds[term];
  return end === undefined ? Number.POSITIVE_INFINITY : dayOf(end);
}

/** The first and last year a member of these terms discloses for. */
export function yearsOfTerms(first: number, last: number): [number, number] {
  const year = (text: string): number => Number(text.slice(0, 4));
  const end = termEnds[last];
  return [year(termStarts[first]!), end === undefined ? 2025 : year(end)];
}

const startDays = termStarts.map(dayOf);
