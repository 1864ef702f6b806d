import { describe, expect, test } from "vitest";
import { textForm } from "./text-form.ts";

describe("textForm", () => {
  test.each([
    [["2053258100", "3347938701", "2565938310", "3344933541", "2519676090"], "^[0-9]{10}$"],
    [["12-a", "134-b", "7-c", "88-d", "9-e"], "^[0-9]{1,3}[-][a-z]{1}$"],
    [["a@x.org", "b.c@y.com", "d@z.net", "e@x.co.ke", "f@q.io"], "^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$"],
    [["1", "22", "333", "-4", "123456789"], "^-?[0-9]+$"],
    [["HB^1", "HB^2", "HB^3", "HB^4", "HB^5"], "^[A-Z]{2}\\^[0-9]{1}$"],
  ])("finds the form of %j", (texts, pattern) => {
    expect(textForm(texts, 0.9)?.pattern).toBe(pattern);
    const expression = new RegExp(pattern.replaceAll("[:space:]", "\\s"));
    expect(texts.every((text) => expression.test(text))).toBe(true);
  });

  test.each([
    [["one", "two", "three", "four", "five"]],
    [["The bill of 2024", "A law", "Acts 1 to 3", "x", "y z"]],
    [["1"]],
  ])("sees none in %j", (texts) => {
    expect(textForm(texts, 0.9)).toBeUndefined();
  });

  test("a few other texts do not hide the form of the most", () => {
    const texts = [...Array.from({ length: 19 }, (_, index) => `${35_000 + index}`), "x5957"];
    expect(textForm(texts, 0.9)).toMatchObject({ pattern: "^[0-9]{5}$", share: 0.95 });
  });
});
