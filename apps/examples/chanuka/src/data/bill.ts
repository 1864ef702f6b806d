import { createRandom, monthOf, type Random, spread, weekdayOf, yearOf } from "@db/example-datagen";
import { counties } from "../text/county.ts";
import { tags } from "../text/parliament.ts";
import { subjects } from "../text/subject.ts";
import { type Grouped, grouped } from "./grouped.ts";
import { assented, drafted, walkBill } from "./lifecycle.ts";
import { firstDay, lastDay, type Size } from "./size.ts";
import { type Members, termOf } from "./sponsor.ts";

/**
 * What other tables need to know of every bill, in arrays by id (from 1, ids in the order of introduction). The
 * texts are not here: they are made while the bills are written.
 */
export interface Bills {
  readonly count: number;
  readonly introducedDay: Int32Array;
  readonly house: Uint8Array;
  /** From 1; 0 outside county assemblies. */
  readonly county: Uint8Array;
  readonly subject: Uint8Array;
  readonly amends: Uint8Array;
  readonly sponsor: Uint32Array;
  /** Its number within its house and year. */
  readonly ordinal: Uint32Array;
  /** The status it ends the data with, and the day it was assented to, or 0. */
  readonly status: Uint8Array;
  readonly assentedDay: Int32Array;
  /** Every change, as day * 16 + status. */
  readonly changes: Grouped;
  readonly coSponsors: Grouped;
  /** Tag ids, from 1. */
  readonly tags: Grouped;
  /** How many bills were introduced by the end of a day. */
  introducedBy(day: number): number;
}

export function makeBills(seed: number, size: Size, members: Members): Bills {
  const count = size.bills;
  const days = lastDay - firstDay + 1;
  const perDay = spread(
    count,
    Array.from({ length: days }, (_, i) => sittingWeight(firstDay + i)),
  );
  const introducedDay = new Int32Array(count + 1);
  const introduced = new Uint32Array(days);
  for (let i = 0, id = 0; i < days; i++) {
    for (let n = perDay[i]!; n > 0; n--) introducedDay[++id] = firstDay + i;
    introduced[i] = id;
  }
  const bytes = (): Uint8Array => new Uint8Array(count + 1);
  const bills = {
    count,
    introducedDay,
    house: bytes(),
    county: bytes(),
    subject: bytes(),
    amends: bytes(),
    sponsor: new Uint32Array(count + 1),
    ordinal: new Uint32Array(count + 1),
    status: bytes(),
    assentedDay: new Int32Array(count + 1),
  };
  describe(createRandom(seed, "bills"), bills, members);
  const walk = createRandom(seed, "bill lifecycle");
  const changes = grouped(count + 1, (id, push) => {
    if (id === 0) return;
    if (walk.chance(0.015)) {
      bills.status[id] = drafted;
      return push(introducedDay[id]! * 16 + drafted);
    }
    walkBill(walk, introducedDay[id]!, (status, day) => {
      push(day * 16 + status);
      bills.status[id] = status;
      if (status === assented) bills.assentedDay[id] = day;
    });
  });
  const introducedBy = (day: number): number => introduced[Math.min(days - 1, Math.max(0, day - firstDay))]!;
  return { ...bills, changes, ...joinTables(seed, bills, members), introducedBy };
}

type Described = Pick<
  Bills,
  "count" | "introducedDay" | "house" | "county" | "subject" | "amends" | "sponsor" | "ordinal"
>;

function describe(random: Random, bills: Described, members: Members): void {
  const ordinals = new Map<number, number>();
  for (let id = 1; id <= bills.count; id++) {
    const day = bills.introducedDay[id]!;
    const place = random.next();
    const house = place < 0.24 ? 0 : place < 0.32 ? 1 : 2;
    const county = house === 2 ? random.below(counties.length) + 1 : 0;
    bills.house[id] = house;
    bills.county[id] = county;
    const month = monthOf(day);
    const budgetTime = house === 0 ? month >= 5 && month <= 6 : house === 2 && month >= 8 && month <= 9;
    bills.subject[id] = budgetTime && random.chance(0.12) ? 0 : 1 + random.skewed(subjects.length - 1, 2);
    bills.amends[id] = random.chance(0.45) ? 1 : 0;
    const bench = members.sitting(house, county, termOf(day));
    bills.sponsor[id] = bench[random.skewed(bench.length, 2)]!;
    const counter = (yearOf(day) * 4 + house) * 64 + county;
    const ordinal = (ordinals.get(counter) ?? 0) + 1;
    ordinals.set(counter, ordinal);
    bills.ordinal[id] = ordinal;
  }
}

function joinTables(seed: number, bills: Described, members: Members): Pick<Bills, "coSponsors" | "tags"> {
  const random = createRandom(seed, "bill links");
  const coSponsors = grouped(bills.count + 1, (id, push) => {
    if (id === 0) return;
    const bench = members.sitting(bills.house[id]!, bills.county[id]!, termOf(bills.introducedDay[id]!));
    const seen = new Set([bills.sponsor[id]!]);
    for (let n = random.skewed(7, 2); n > 0; n--) {
      const other = bench[random.below(bench.length)]!;
      if (!seen.has(other)) push(other);
      seen.add(other);
    }
  });
  const tagged = grouped(bills.count + 1, (id, push) => {
    if (id === 0) return;
    const own = subjects[bills.subject[id]!]!.tag;
    push(own + 1);
    const seen = new Set([own]);
    for (let n = random.skewed(4, 2); n > 0; n--) {
      const other = random.below(tags.length);
      if (!seen.has(other)) push(other + 1);
      seen.add(other);
    }
  });
  return { coSponsors, tags: tagged };
}

// Tuesday to Thursday, few in December and January, the budget in June, and hardly any around a general election.
const monthWeights = [0.15, 1.2, 1.5, 1.2, 1.1, 1.5, 1, 0.7, 1.1, 1.2, 1.3, 0.4];
const weekdayWeights = [0, 0.5, 1.5, 1.6, 1.4, 0.3, 0];

function sittingWeight(day: number): number {
  const [year, month] = [yearOf(day), monthOf(day)];
  const recess = (year === 2017 || year === 2022) && month >= 7 && month <= 9 ? 0.05 : 1;
  return monthWeights[month - 1]! * weekdayWeights[weekdayOf(day)]! * recess * (1 + (year - 2013) * 0.04);
}
