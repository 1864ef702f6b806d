import { describe, expect, test } from "vitest";
import { type Blackout, blackoutProblems, isBlackedOut } from "./blackout.ts";

const known = { rules: ["PgDown"], servers: ["primary"] };
const problems = (...blackouts: readonly Blackout[]): readonly string[] => blackoutProblems(blackouts, known);
const covered = (blackout: Blackout, at: string): boolean =>
  isBlackedOut([blackout], { rule: "PgDown", server: "primary" }, Date.parse(at));

describe("a blackout", () => {
  test.each<Blackout>([
    { from: "02:00", to: "04:30" },
    { from: "23:00", to: "01:00" },
    { from: "00:00", to: "24:00", rules: ["PgDown"], servers: ["primary"] },
    { from: "2026-03-01", to: "2026-03-02" },
    { from: "2026-03-01T02:00Z", to: "2026-03-01T05:30:00.5+02:00" },
  ])("from $from to $to is taken", (blackout) => {
    expect(problems(blackout)).toEqual([]);
  });

  const either = 'neither a time of day in UTC ("02:00") nor an instant with its zone ("2026-03-01T02:00Z")';
  test.each<[Blackout, readonly string[]]>([
    [
      { from: "2am", to: "25:00" },
      [`blackouts[0].from is "2am", which is ${either}`, `blackouts[0].to is "25:00", which is ${either}`],
    ],
    [{ from: "24:00", to: "24:01" }, [expect.stringContaining(".from is"), expect.stringContaining(".to is")]],
    [{ from: "02:60", to: "04:00" }, [expect.stringContaining('.from is "02:60"')]],
    [{ from: "2026-03-01T02:00", to: "2026-03-01T04:00Z" }, [expect.stringContaining(".from is")]],
    [{ from: "2026-02-30", to: "2026-03-04" }, [expect.stringContaining('.from is "2026-02-30"')]],
    [{ from: "2026-13-01", to: "2027-03-04" }, [expect.stringContaining('.from is "2026-13-01"')]],
    [
      { from: "02:00", to: "2026-03-01" },
      ['blackouts[0] goes from "02:00" to "2026-03-01": give two times of day or two instants'],
    ],
    [
      { from: "2026-03-02", to: "2026-03-01" },
      ['blackouts[0] ends at "2026-03-01", not after it begins at "2026-03-02"'],
    ],
    [{ from: "02:00", to: "02:00" }, ['blackouts[0] begins and ends at "02:00": "00:00" to "24:00" is the whole day']],
    [
      { from: "02:00", to: "04:00", rules: ["Nope"], servers: [] },
      [
        'blackouts[0].rules names the rule "Nope", which does not exist',
        "blackouts[0].servers is empty: leave it out for every server",
      ],
    ],
  ])("%j is refused with where and why", (blackout, expected) => {
    expect(problems(blackout)).toEqual(expected);
  });

  test("that is refused is told by its place among the others", () => {
    expect(problems({ from: "02:00", to: "04:00" }, { from: "x", to: "04:00" })[0]).toMatch(/^blackouts\[1\]\.from/);
  });

  test("begins with its first moment and ends before its last", () => {
    const span = { from: "2026-03-01T02:00Z", to: "2026-03-01T03:00Z" };
    const at = ["01:59:59.999", "02:00", "02:59:59.999", "03:00"].map((time) => covered(span, `2026-03-01T${time}Z`));
    expect(at).toEqual([false, true, true, false]);
    const wholeDay = { from: "00:00", to: "24:00" };
    expect([covered(wholeDay, "2026-03-01T00:00Z"), covered(wholeDay, "2026-03-01T23:59:59Z")]).toEqual([true, true]);
  });
});
