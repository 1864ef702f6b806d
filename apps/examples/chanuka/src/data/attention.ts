import { createRandom, monthOf, type Random, spread, weekdayOf, yearOf } from "@db/example-datagen";
import type { Bills } from "./bill.ts";
import { lastDay, launchDay } from "./size.ts";

/** Which bill people look at on a day, and how many look: what engagement and comments have in common. */
export interface Attention {
  /** A bill that was introduced by then. Few get most of it. */
  billOn(random: Random, day: number): number;
}

/** Bills that stay popular at every scale; the demonstration queries ask for the first. */
export const evergreenBills: readonly number[] = [42, 77, 130, 151];

export function makeAttention(seed: number, bills: Bills): Attention {
  const random = createRandom(seed, "popularity");
  const appeal = new Float64Array(bills.count + 1);
  const loved: number[] = [];
  const landmarks: number[] = [];
  let landmarkYear = 0;
  for (let id = 1; id <= bills.count; id++) {
    const u = random.next();
    // A national bill concerns more people than a county's.
    appeal[id] = (0.03 + 0.97 * u * u * u * u) * (bills.house[id] === 2 ? 0.5 : 1);
    if (appeal[id]! > 0.4) loved.push(id);
    // The year's first national Finance Bill is what the whole country talks about.
    const year = yearOf(bills.introducedDay[id]!);
    if (bills.subject[id] === 0 && bills.house[id] === 0 && year > landmarkYear) {
      landmarks.push(id);
      landmarkYear = year;
    }
  }
  const recent = Math.max(20, Math.floor(bills.count / 40));
  return {
    billOn: (random, day) => {
      const introduced = bills.introducedBy(day);
      const kind = random.next();
      if (kind < 0.12) {
        const landmark = newestUpTo(landmarks, introduced, random.skewed(6, 2));
        if (landmark !== undefined) return landmark;
      }
      if (kind < 0.14) {
        const id = evergreenBills[random.below(evergreenBills.length)]!;
        if (id <= introduced) return id;
      }
      if (kind < 0.34) {
        const known = countUpTo(loved, introduced);
        if (known > 0) return loved[random.below(known)]!;
      }
      let id = introduced;
      for (let tries = 0; tries < 8; tries++) {
        id = introduced - random.skewed(Math.min(introduced, recent), 2);
        if (random.next() < appeal[id]!) break;
      }
      return id;
    },
  };
}

/** Shares a number of events over the days from launch to the last one. */
export function eventsPerDay(total: number): number[] {
  const days = lastDay - launchDay + 1;
  return spread(
    total,
    Array.from({ length: days }, (_, i) => {
      const day = launchDay + i;
      const budget = monthOf(day) === 6 ? 2.2 : monthOf(day) === 5 ? 1.4 : 1;
      const holiday = monthOf(day) === 12 ? 0.6 : 1;
      return (1 + (4 * i) / days) * weekdayWeights[weekdayOf(day)]! * budget * holiday;
    }),
  );
}

/**
 * The second within a day, in UTC, of event `index` of `count`, rising with the index: lunch breaks and evenings of
 * East Africa (UTC+3) weigh most.
 */
export function secondOfDay(random: Random, index: number, count: number): number {
  const share = ((index + random.next()) / count) * hourTotal;
  let hour = 0;
  while (hour < 23 && hourReached[hour]! <= share) hour++;
  const before = hour === 0 ? 0 : hourReached[hour - 1]!;
  const within = (share - before) / (hourReached[hour]! - before);
  return hour * 3600 + Math.min(3599, Math.floor(within * 3600));
}

const weekdayWeights = [0.8, 1, 1.1, 1.15, 1.15, 0.95, 0.75];
// By hour of UTC: 04:00 is seven in the morning in Nairobi, 17:00 is eight in the evening.
const hourWeights = [1, 1, 2, 4, 6, 6, 5, 5, 6, 8, 9, 7, 6, 6, 7, 8, 10, 12, 12, 9, 6, 3, 2, 1];
const hourReached = hourWeights.map((_, hour) => hourWeights.slice(0, hour + 1).reduce((a, b) => a + b, 0));
const hourTotal = hourReached[23]!;

/** How many of an ascending list are at most `limit`. */
function countUpTo(ids: readonly number[], limit: number): number {
  let [low, high] = [0, ids.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ids[middle]! <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function newestUpTo(ids: readonly number[], limit: number, stepsBack: number): number | undefined {
  return ids[Math.max(0, countUpTo(ids, limit) - 1 - stepsBack)];
}
