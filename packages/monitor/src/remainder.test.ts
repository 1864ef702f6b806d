import { describe, expect, test } from "vitest";
import { Remainder } from "./remainder.ts";

const step = (remainder: Remainder, exported: Record<string, number>, other: number): number | undefined =>
  remainder.next({ exported: new Map(Object.entries(exported).map(([id, n]) => [id, [n]])), other: [other] })[0];

describe("Remainder", () => {
  test("begins at the plain sum and follows its growth", () => {
    const remainder = new Remainder();
    expect(step(remainder, { a: 100 }, 50)).toBe(50);
    expect(step(remainder, { a: 110 }, 57)).toBe(57);
  });

  test("does not fall when something leaves it for a series of its own", () => {
    const remainder = new Remainder();
    step(remainder, { a: 100 }, 50);
    // b had 30 of the 50 and grew by 5; nothing else moved.
    expect(step(remainder, { a: 100, b: 35 }, 20)).toBe(55);
    expect(step(remainder, { a: 100, b: 40 }, 21)).toBe(56);
  });

  test("takes only the growth of what comes back into it", () => {
    const remainder = new Remainder();
    step(remainder, { a: 100, b: 35 }, 20);
    expect(step(remainder, { a: 100 }, 58)).toBe(23);
  });

  test("stands still when something in it is dropped", () => {
    const remainder = new Remainder();
    step(remainder, { a: 100 }, 50);
    expect(step(remainder, { a: 100 }, 10)).toBe(50);
    expect(step(remainder, { a: 100 }, 12)).toBe(52);
  });

  test("starts again after a reset, as every other counter does", () => {
    const remainder = new Remainder();
    step(remainder, { a: 100 }, 50);
    expect(step(remainder, { a: 3 }, 2)).toBe(2);
  });
});
