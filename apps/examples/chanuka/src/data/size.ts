import { dayOf } from "@db/example-datagen";

/** The first bill of the record, the day the platform opened to the public, and the last day of the data. */
export const firstDay: number = dayOf("2013-03-28");
export const launchDay: number = dayOf("2021-01-01");
export const lastDay: number = dayOf("2026-06-30");

/** How many of each, at a scale. Parliament and the firms it writes laws about do not grow with the audience. */
export interface Size {
  readonly scale: number;
  readonly sponsors: number;
  readonly organizations: number;
  readonly users: number;
  readonly bills: number;
  readonly comments: number;
  readonly engagement: number;
}

export function sizeOf(scale: number): Size {
  const scaled = (count: number): number => Math.max(1, Math.round(count * scale));
  return {
    scale,
    sponsors: 1_800,
    organizations: 400,
    // Below these a small sample would have no room for its faults.
    users: Math.max(100, scaled(5_000)),
    bills: Math.max(200, scaled(20_000)),
    comments: Math.max(300, scaled(40_000)),
    engagement: Math.max(2_000, scaled(500_000)),
  };
}
