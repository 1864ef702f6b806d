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

describe("a statement that is known", () => {
  function known(): StatementProfile {
    const profile = new StatementProfile("select 1");
    for (let run = 0; run < 10; run += 1) profile.took(0.1);
    return profile;
  }

  test("stays fast when the machine stalled once, however long", () => {
    const profile = known();
    profile.took(2_000);
    expect(profile.averageMs).toBeLessThan(5);
    expect(profile.unsteady).toBe(false);
  });

  test("becomes slow when it takes long twice in a row", () => {
    const profile = known();
    profile.took(50);
    profile.took(50);
    expect(profile.averageMs).toBeGreaterThan(5);
  });

  test.each([
    { every: 100, unsteady: true },
    { every: 300, unsteady: false },
  ])("that takes long once in $every times is unsteady: $unsteady", ({ every, unsteady }) => {
    const profile = known();
    for (let run = 1; run <= 10_000; run += 1) profile.took(run % every === 0 ? 50 : 0.1);
    expect(profile.unsteady).toBe(unsteady);
  });

  test("is steady again when it has been fast for long", () => {
    const profile = known();
    for (let run = 1; run <= 1_000; run += 1) profile.took(run % 10 === 0 ? 50 : 0.1);
    expect(profile.unsteady).toBe(true);
    for (let run = 0; run < 5_000; run += 1) profile.took(0.1);
    expect(profile.unsteady).toBe(false);
  });
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
