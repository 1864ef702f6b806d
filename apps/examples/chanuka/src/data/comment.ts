import { copyRow, createRandom, type GeneratedTable, instantText } from "@db/example-datagen";
import { remark } from "../text/remark.ts";
import { type Attention, eventsPerDay, secondOfDay } from "./attention.ts";
import type { Bills } from "./bill.ts";
import { faultPositions } from "./fault.ts";
import { launchDay, type Size } from "./size.ts";
import type { Users } from "./user.ts";

/** Comments and answers, in the order of time; an answer's parent is always an earlier row. */
export function commentTable(
  seed: number,
  size: Size,
  bills: Bills,
  users: Users,
  attention: Attention,
): GeneratedTable {
  const rows = size.comments;
  function* lines(): Generator<string> {
    const random = createRandom(seed, "comments");
    // Any row but the first can answer the row before it.
    const astray = faultPositions("reply-across-bills", seed, size.scale, rows - 1);
    const newest = new Uint32Array(bills.count + 1);
    let id = 0;
    let previousBill = 0;
    for (const [i, count] of eventsPerDay(rows).entries()) {
      const day = launchDay + i;
      const registered = users.registeredBy(day - 1);
      for (let n = 0; n < count; n++) {
        let bill = attention.billOn(random, day);
        let parent = newest[bill]! > 0 && random.chance(0.45) ? newest[bill]! : null;
        if (astray.has(id - 1)) {
          parent = id;
          if (bill === previousBill) bill = bill === 1 ? 2 : bill - 1;
        }
        id++;
        const at = day * 86_400 + secondOfDay(random, n, count);
        yield copyRow([
          id,
          bill,
          random.skewed(registered, 3) + 1,
          parent,
          remark(random),
          instantText(at),
          random.chance(0.01),
        ]);
        newest[bill] = id;
        previousBill = bill;
      }
    }
  }
  const columns = ["id", "bill_id", "user_id", "parent_id", "body", "created_at", "hidden"];
  return { name: "bill_comments", columns, rows, lines };
}
