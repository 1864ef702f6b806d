import { describe, expect, test } from "vitest";
import { looksLikeRead } from "./read-routing.ts";

describe("looksLikeRead", () => {
  test.each([
    "select 1",
    "  SELECT * from bills",
    "-- bills of a sponsor\nselect 1",
    "/* a */ /* b */\n with recent as (select 1) select * from recent",
    "show work_mem",
    "explain select 1",
    "values (1)",
    "table bills",
  ])("takes for a read: %s", (text) => expect(looksLikeRead(text)).toBe(true));

  test.each([
    "insert into bills select 1",
    "selected",
    "",
    "-- select 1",
    "begin; select 1",
    "select pg_advisory_lock(1)",
    "select pg_try_advisory_xact_lock(1)",
    "select pg_terminate_backend(pid) from pg_stat_activity",
    "select pg_cancel_backend(1)",
    "select pg_reload_conf()",
    "select pg_stat_reset_shared('wal')",
  ])("takes for work of the primary: %s", (text) => expect(looksLikeRead(text)).toBe(false));

  test("answers at once for a text made of spaces and half comments", () => {
    // A pattern that tried every split would not end within the test's own bound.
    expect(looksLikeRead(`${" ".repeat(100_000)}/*${"/* ".repeat(50_000)}`)).toBe(false);
  });
});
