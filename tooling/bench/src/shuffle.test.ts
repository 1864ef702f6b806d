import { expect, test } from "vitest";
import { mixSeed, shuffle } from "./shuffle.ts";

const letters = ["a", "b", "c", "d"];

test("one seed gives one order", () => {
  expect(shuffle(letters, 5)).toEqual(shuffle(letters, 5));
});

test("every item stays, whatever the order, and the original is left alone", () => {
  expect(shuffle(letters, 9).toSorted()).toEqual(letters);
  expect(letters).toEqual(["a", "b", "c", "d"]);
});

test("every item comes first about equally often", () => {
  const first = Map.groupBy(
    Array.from({ length: 4_000 }, (_, round) => shuffle(letters, mixSeed(1, round))[0]),
    (letter) => letter,
  );
  for (const letter of letters) expect(Math.abs((first.get(letter)?.length ?? 0) - 1_000)).toBeLessThan(120);
});

test("neighbouring numbers give unlike seeds", () => {
  const seeds = Array.from({ length: 10_000 }, (_, index) => mixSeed(1, index));
  expect(new Set(seeds).size).toBe(10_000);
  expect(mixSeed(1, 2)).not.toBe(mixSeed(2, 1));
});
