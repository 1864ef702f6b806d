import { describe, expect, test } from "vitest";
import { findPassword, isExposed } from "./password-file.ts";

const query = { host: "db", port: 5432, database: "app", user: "alice" };

describe("findPassword", () => {
  test("the first line that matches counts", () => {
    expect(findPassword("db:5432:app:alice:first\ndb:5432:app:alice:second", query)).toBe("first");
  });

  test("a star matches anything in every field", () => {
    expect(findPassword("other:*:*:*:no\n*:*:*:*:yes", query)).toBe("yes");
  });

  test("an escaped star is a star", () => {
    expect(findPassword(String.raw`db:5432:\*:alice:no`, query)).toBeUndefined();
    expect(findPassword(String.raw`db:5432:\*:alice:yes`, { ...query, database: "*" })).toBe("yes");
  });

  test("backslashes escape colons and backslashes, in the password too", () => {
    const text = String.raw`db:5432:a\:b:alice:p\:w\\d`;
    expect(findPassword(text, { ...query, database: "a:b" })).toBe(String.raw`p:w\d`);
  });

  test("comments, short lines and CRLF are no obstacle", () => {
    expect(findPassword("# db:5432:app:alice:no\r\nshort:line\r\ndb:5432:app:alice:yes\r\n", query)).toBe("yes");
  });

  test("a socket directory is looked up as localhost, too", () => {
    expect(findPassword("localhost:5432:app:alice:yes", { ...query, host: "/var/run/postgresql" })).toBe("yes");
  });

  test("an IPv6 address needs its colons escaped", () => {
    expect(findPassword(String.raw`\:\:1:5432:app:alice:yes`, { ...query, host: "::1" })).toBe("yes");
  });

  test("an empty password is none", () => {
    expect(findPassword("*:*:*:*:", query)).toBeUndefined();
  });
});

test("any permission for group or others exposes a file", () => {
  expect([0o600, 0o400, 0o640, 0o604, 0o601, undefined].map(isExposed)).toEqual([
    false,
    false,
    true,
    true,
    true,
    false,
  ]);
});
