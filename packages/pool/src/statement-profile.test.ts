import { describe, expect, test } from "vitest";
import { StatementProfile, StatementProfiles } from "./statement-profile.ts";

describe("a statement may share a connection", () => {
  test.each([
    "select 1",
    "  SELECT * from account where id = $1;",
    "values (1)",
    "table account",
    "with a as (select 1) select * from a",
  ])("when it only reads: %s", (text) => expect(new StatementProfile(text).shareable).toBe(true));

  test.each([
    "insert into t values (1)",
    "with gone as (delete from t returning *) select * from gone",
    "select * from t for update",
    "select * from t for key share",
    "select 1 into temp t",
    "select set_config('a', 'b', false)",
    "select pg_advisory_lock(1)",
    "select pg_try_advisory_xact_lock(1)",
    "select pg_sleep_for('1 s')",
    "select nextval('s')",
    "select pg_notify('a', 'b')",
    "select 1; select 2",
    "begin",
    "create table t ()",
    "set work_mem = '1MB'",
  ])("not when it writes, locks, waits, or touches its session: %s", (text) =>
    expect(new StatementProfile(text).shareable).toBe(false),
  );
});

test("profiles of statements used least recently are forgotten", () => {
  const profiles = new StatementProfiles(2);
  const first = profiles.of("select 1");
  profiles.of("select 2");
  expect(profiles.of("select 1")).toBe(first);
  profiles.of("select 3");
  expect(profiles.of("select 1")).toBe(first);
  profiles.of("select 2").uses = 5;
  profiles.of("select 4");
  profiles.of("select 5");
  expect(profiles.of("select 2").uses).toBe(0);
});
