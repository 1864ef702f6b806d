import { createRandom, dateText, type GeneratedTable, weighted } from "@db/example-datagen";
import { type Attention, eventsPerDay, secondOfDay } from "./attention.ts";
import type { Bills } from "./bill.ts";
import { faultPositions } from "./fault.ts";
import { launchDay, type Size } from "./size.ts";
import type { Users } from "./user.ts";

const kinds = weighted([
  ["view", 72],
  ["vote", 13],
  ["bookmark", 8],
  ["share", 7],
]);
const positions = weighted([
  ["oppose", 46],
  ["support", 42],
  ["neutral", 12],
]);
const channels = weighted([
  ["web", 46],
  ["android", 41],
  ["ussd", 9],
  ["ios", 4],
]);

/** Views, votes, shares and bookmarks in the order of time: the ids rise with the clock, as in any log. */
export function engagementTable(
  seed: number,
  size: Size,
  bills: Bills,
  users: Users,
  attention: Attention,
): GeneratedTable {
  const rows = size.engagement;
  function* lines(): Generator<string> {
    const random = createRandom(seed, "engagement");
    const noBill = faultPositions("engagement-without-bill", seed, size.scale, rows);
    const noUser = faultPositions("engagement-without-user", seed, size.scale, rows);
    const noPosition = faultPositions("vote-without-position", seed, size.scale, rows);
    let id = 0;
    for (const [i, count] of eventsPerDay(rows).entries()) {
      const day = launchDay + i;
      const date = dateText(day);
      const registered = users.registeredBy(day - 1);
      for (let n = 0; n < count; n++) {
        let bill = attention.billOn(random, day);
        let user = random.skewed(registered, 2) + 1;
        let kind = random.pick(kinds);
        let position = kind === "vote" ? random.pick(positions) : "\\N";
        if (noPosition.has(id)) [kind, position] = ["vote", "\\N"];
        // Deleted long ago, or from another environment: ids that never were.
        if (noBill.has(id)) bill += bills.count;
        if (noUser.has(id)) user += users.count;
        const second = secondOfDay(random, n, count);
        // Written by hand: this is the one table where a row's cost is felt, and no field can need an escape.
        yield `${++id}\t${bill}\t${user}\t${kind}\t${position}\t${random.pick(channels)}\t${date} ${clock(second)}+00\n`;
      }
    }
  }
  const columns = ["id", "bill_id", "user_id", "kind", "position", "channel", "occurred_at"];
  return { name: "bill_engagement", columns, rows, lines };
}

const two = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, "0"));

function clock(second: number): string {
  return `${two[Math.floor(second / 3600)]}:${two[Math.floor(second / 60) % 60]}:${two[second % 60]}`;
}
