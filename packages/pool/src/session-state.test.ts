import { describe, expect, test } from "vitest";
import { changeOfSession } from "./session-state.ts";

describe("changeOfSession", () => {
  test.each([
    ["set search_path to app", "SET"],
    ["  SET SESSION work_mem = '1MB'", "SET"],
    ["set role tenant", "SET"],
    ["/* hint */ set time zone 'UTC'", "SET"],
    ["select set_config('app.tenant', $1, false)", "set_config(…, false)"],
    ["select set_config('app.tenant', $1, $2)", "set_config(…, false)"],
    ["listen news", "LISTEN"],
    ["prepare p as select 1", "PREPARE"],
    ["declare c cursor with hold for select 1", "DECLARE … WITH HOLD"],
    ["create temp table t ()", "CREATE TEMPORARY"],
    ["create local temporary view v as select 1", "CREATE TEMPORARY"],
    ["select 1 as n into temp t", "INTO TEMPORARY"],
    ["create table pg_temp.t ()", "CREATE in pg_temp"],
    ["select pg_advisory_lock(1)", "pg_advisory_lock"],
    ["select pg_try_advisory_lock_shared(1)", "pg_advisory_lock"],
    ["reset all", "RESET"],
    ["reset role", "RESET"],
    ["discard all", "DISCARD"],
    ["deallocate prepare p", "DEALLOCATE"],
    ["begin", "BEGIN"],
    ["start transaction read only", "BEGIN"],
    ["begin; set local lock_timeout = '1s'; select 1", "BEGIN"],
    ["begin; set work_mem = '1MB'; commit", "SET"],
  ])("of %j is %s", (sql, change) => {
    expect(changeOfSession(sql)).toBe(change);
  });

  test.each([
    "select 1",
    "update t set a = 1",
    "insert into t (\"set\") values ('set x')",
    "set local work_mem = '1MB'",
    "set transaction isolation level serializable",
    "select set_config('app.tenant', $1, true)",
    "select pg_advisory_xact_lock(1)",
    "begin; set local lock_timeout = '1s'; select 1; commit;",
    "begin; savepoint a; rollback to a; commit",
    "alter role r set work_mem = '1MB'",
    "create table temperature (temp int)",
    "create function f() returns void language plpgsql as $$begin perform 1; end$$",
    "do $$begin listen news; end$$",
    "prepare transaction 'p'",
    "select starts_with(a, 'set ') from t",
    "-- set x\nselect 1",
    "select reset from discard",
    "alter role r reset work_mem",
  ])("of %j is nothing", (sql) => {
    expect(changeOfSession(sql)).toBeUndefined();
  });
});
