import { describe, expect, test } from "vitest";
import { InvalidPoolOptionsError } from "./errors.ts";
import { resolvePoolOptions } from "./options.ts";
import { refusesWay, tlsWays } from "./tls-mode.ts";

function problemsOf(config: object): readonly string[] {
  try {
    resolvePoolOptions(config);
    return [];
  } catch (error) {
    return (error as InvalidPoolOptionsError).problems;
  }
}

describe("the ways to reach a server", () => {
  test("are TLS then none for prefer, none then TLS for allow", () => {
    const tls = { rejectUnauthorized: false, ca: "pem" };
    expect(tlsWays("prefer", tls)).toEqual({ first: tls, second: false });
    expect(tlsWays("allow", tls)).toEqual({ first: false, second: tls });
  });

  test("are one for the other modes", () => {
    expect(tlsWays("disable", undefined)).toEqual({ first: false });
    expect(tlsWays("require", undefined)).toEqual({ first: { rejectUnauthorized: false } });
    expect(tlsWays("verify-full", undefined)).toEqual({ first: true });
  });

  test("are changed only by a server that has no TLS, or no rule for connections without", () => {
    expect(refusesWay(new Error("The server does not support SSL connections"), true)).toBe(true);
    expect(refusesWay(new Error("self-signed certificate"), true)).toBe(false);
    expect(refusesWay(Object.assign(new Error("no pg_hba.conf entry"), { code: "28000" }), false)).toBe(true);
    expect(refusesWay(Object.assign(new Error("no pg_hba.conf entry"), { code: "28000" }), true)).toBe(false);
    expect(refusesWay(Object.assign(new Error("wrong password"), { code: "28P01" }), false)).toBe(false);
  });
});

describe("a TLS mode among the options", () => {
  test("contradicts what a URL says about TLS, and ssl that says otherwise", () => {
    expect(problemsOf({ primaryUrl: "postgres://h/d?sslmode=require", sslMode: "prefer" })).toEqual([
      'sslMode is "prefer", but primaryUrl says sslmode itself: give one of them',
    ]);
    expect(problemsOf({ primaryUrl: "postgres://h/d", sslMode: "require", ssl: false })).toEqual([
      'sslMode is "require", but ssl is false',
    ]);
    expect(problemsOf({ primaryUrl: "postgres://h/d", sslMode: "disable", ssl: true })).toEqual([
      'sslMode is "disable", but ssl is given',
    ]);
    expect(problemsOf({ primaryUrl: "postgres://h/d", sslMode: "maybe" })).toEqual([
      'sslMode is "maybe", not one of disable, allow, prefer, require, verify-ca, verify-full',
    ]);
  });

  test("may repeat what a URL says, which wins, outside of prefer and allow", () => {
    expect(problemsOf({ primaryUrl: "postgres://h/d?sslmode=verify-full", sslMode: "verify-full", ssl: true })).toEqual(
      [],
    );
  });
});
