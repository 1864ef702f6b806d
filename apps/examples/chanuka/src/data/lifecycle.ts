import type { Random } from "@db/example-datagen";
import { lastDay } from "./size.ts";
import { dissolutionOf, termOf } from "./sponsor.ts";

/** Where a bill can stand. A number below is an index into this list. */
export const statuses = [
  "drafted",
  "introduced",
  "committee",
  "second_reading",
  "third_reading",
  "passed",
  "assented",
  "rejected",
  "withdrawn",
  "lapsed",
] as const;

const status = (name: (typeof statuses)[number]): number => statuses.indexOf(name);
const lapsed = status("lapsed");
export const assented: number = status("assented");
export const drafted: number = status("drafted");

// Each step: the status it reaches, the least and most days it takes, and where and how often it ends instead.
const steps: readonly (readonly [to: number, least: number, most: number, end: number, share: number])[] = [
  [status("committee"), 7, 50, status("withdrawn"), 0.08],
  [status("second_reading"), 25, 160, status("withdrawn"), 0.12],
  [status("third_reading"), 10, 70, status("rejected"), 0.14],
  [status("passed"), 1, 35, status("rejected"), 0.07],
  [assented, 12, 70, lapsed, 0.03],
];

/**
 * Walks a bill through the house from the day it is introduced, telling each change in order. What is open when the
 * house is dissolved lapses; what is open on the last day of the data stays where it is.
 */
export function walkBill(random: Random, introducedDay: number, onChange: (status: number, day: number) => void): void {
  const dissolution = dissolutionOf(termOf(introducedDay));
  let day = introducedDay;
  onChange(status("introduced"), day);
  for (const [to, least, most, end, share] of steps) {
    day += random.between(least, most);
    const over = random.chance(share);
    if (day > dissolution) {
      onChange(lapsed, Math.max(dissolution, introducedDay));
      return;
    }
    if (day > lastDay) return;
    onChange(over ? end : to, day);
    if (over) return;
  }
}
