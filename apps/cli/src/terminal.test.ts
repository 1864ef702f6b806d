import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { findingsText } from "./findings-text.ts";
import { type OutputForm, Terminal } from "./terminal.ts";

function terminal(form: OutputForm = "text", isTTY = false) {
  const stdout = Object.assign(new PassThrough({ encoding: "utf8" }), { isTTY });
  const stderr = Object.assign(new PassThrough({ encoding: "utf8" }), { isTTY });
  const made = new Terminal({ stdout, stderr, form, quiet: false, colors: false });
  return { made, out: () => (stdout.read() as string | null) ?? "", err: () => (stderr.read() as string | null) ?? "" };
}

describe("progress", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("says nothing of a phase that ends within three seconds when stderr is a pipe", () => {
    const { made, err } = terminal();
    made.progress({ phase: "copy", current: 0, unit: "rows" });
    vi.advanceTimersByTime(2_900);
    made.data("copied");
    vi.advanceTimersByTime(60_000);
    expect(err()).toBe("");
  });

  test("tells of a long phase after three seconds of silence, then every ten, even when it reports only its start", () => {
    const { made, err } = terminal();
    made.progress({ phase: "copy", current: 0, unit: "rows", message: "copying" });
    vi.advanceTimersByTime(3_100);
    expect(err()).toBe("  … copying  0 rows\n");
    vi.advanceTimersByTime(9_000);
    expect(err()).toBe("");
    vi.advanceTimersByTime(11_000);
    expect(err().split("\n")).toHaveLength(3);
  });

  test("tells of a phase with a hundred reports a second as often as of a silent one", () => {
    const { made, err } = terminal();
    for (let tick = 1; tick <= 2_000; tick += 1) {
      vi.advanceTimersByTime(10);
      made.progress({ phase: "copy", current: tick, total: 2_000, unit: "rows" });
    }
    expect(err().trimEnd().split("\n")).toHaveLength(2);
  });

  test("gives one live line on a terminal and takes it away before anything else is printed", () => {
    const { made, err, out } = terminal("text", true);
    made.progress({ phase: "copy", current: 1, total: 2, unit: "steps" });
    expect(err()).toBe("\r\u001B[K  copy 50 %  1 of 2 steps");
    made.data("done");
    expect([err(), out()]).toEqual(["\r\u001B[K", "done\n"]);
  });

  test("is silent with --json and an event with stream-json", () => {
    const json = terminal("json");
    json.made.progress({ phase: "copy", current: 0, unit: "rows" });
    vi.advanceTimersByTime(60_000);
    expect([json.out(), json.err()]).toEqual(["", ""]);
    const stream = terminal("stream-json");
    stream.made.progress({ phase: "copy", current: 0, unit: "rows" });
    expect(JSON.parse(stream.out())).toMatchObject({ type: "progress", phase: "copy", etaSeconds: null });
  });
});

test("a finding's command stands on one line of at most 160 characters", () => {
  const { made } = terminal();
  const command = `create index concurrently i\n  on t (${"a_long_column, ".repeat(20)})`;
  const text = findingsText([{ id: "I-01", severity: "warn", title: "slow", command }], made);
  const line = text.split("\n").find((each) => each.includes("$ "))!;
  expect(line.trim().slice(2)).toHaveLength(160);
  expect(line).toContain("create index concurrently i on t (a_long_column, ");
});
