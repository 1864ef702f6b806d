import { describe, expect, test } from "vitest";
import { adviseOnConnection } from "./connection-advice.ts";

const coded = (message: string, code: string): Error => Object.assign(new Error(message), { code });

describe("adviseOnConnection", () => {
  test("finds what the server said below wrapping errors", () => {
    const refused = coded('password authentication failed for user "app"', "28P01");
    const error = new Error("service pool did not start", { cause: new Error("no connection", { cause: refused }) });
    expect(adviseOnConnection(error)).toEqual({
      reason: 'password authentication failed for user "app"',
      hint: "Check the user and the password; special characters in a URL have to be percent-encoded.",
    });
  });

  test("reads the first address tried of a name that has several", () => {
    const error = new AggregateError([coded("connect ECONNREFUSED ::1:5432", "ECONNREFUSED")]);
    expect(adviseOnConnection(error)?.reason).toBe("connect ECONNREFUSED ::1:5432");
  });

  test("has nothing to say about a statement that failed or a file that is absent", () => {
    expect(adviseOnConnection(coded("syntax error", "42601"))).toBeUndefined();
    expect(adviseOnConnection(coded("no such file", "ENOENT"))).toBeUndefined();
    expect(adviseOnConnection("text")).toBeUndefined();
  });
});
