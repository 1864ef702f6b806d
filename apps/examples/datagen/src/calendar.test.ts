import { expect, test } from "vitest";
import { dateText, dayOf, instantText, monthOf, weekdayOf, yearOf } from "./calendar.ts";

test("days go to dates and back", () => {
  expect(dateText(dayOf("2024-02-29"))).toBe("2024-02-29");
  expect(weekdayOf(dayOf("2024-06-25"))).toBe(2);
  expect([yearOf(dayOf("2013-03-28")), monthOf(dayOf("2013-03-28"))]).toEqual([2013, 3]);
});

test("an instant keeps its seconds", () => {
  expect(instantText(dayOf("2024-06-25") * 86_400 + 17 * 3600 + 4 * 60 + 9)).toBe("2024-06-25 17:04:09+00");
});
