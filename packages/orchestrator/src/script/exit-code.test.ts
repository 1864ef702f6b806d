import { DbError } from "@db/core";
import { describe, expect, test } from "vitest";
import { scriptExitCodeOf } from "./exit-code.ts";

class Coded extends DbError {
  override readonly code: string;

  constructor(code: string, cause?: unknown) {
    super(code, { cause });
    this.code = code;
  }
}

describe("the exit code of a script", () => {
  test.each([
    ["POOL_NO_PRIMARY", 6],
    ["POOL_CIRCUIT_OPEN", 6],
    ["POOL_CONNECT_TIMEOUT", 6],
    ["POOL_QUERY_TIMEOUT", 7],
    ["POOL_ACQUIRE_TIMEOUT", 7],
    ["SCRIPT_TIMEOUT", 7],
    ["SCRIPT_USAGE", 2],
    ["CONFIG_INVALID", 2],
    ["MIGRATE_DRIFT", 1],
  ])("of %s is %i, also under another error", (code, expected) => {
    expect(scriptExitCodeOf(new Coded(code))).toBe(expected);
    expect(scriptExitCodeOf(new Error("the step failed", { cause: new Coded(code) }))).toBe(expected);
  });

  test("of a lock that was not given and of a refused socket is told by their own codes", () => {
    expect(scriptExitCodeOf(Object.assign(new Error("x"), { code: "55P03" }))).toBe(7);
    expect(scriptExitCodeOf(Object.assign(new Error("x"), { code: "ECONNREFUSED" }))).toBe(6);
    expect(scriptExitCodeOf("a text")).toBe(1);
  });
});
