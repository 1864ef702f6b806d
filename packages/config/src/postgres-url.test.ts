import { describe, expect, test } from "vitest";
import {
  describePostgresUrl,
  formatPostgresUrl,
  parsePostgresUrl,
  type PostgresUrl,
  splitUrls,
} from "./postgres-url.ts";

function read(text: string): PostgresUrl {
  const reading = parsePostgresUrl(text);
  if ("wrong" in reading) throw new Error(reading.wrong);
  return reading.url;
}

describe("parsePostgresUrl", () => {
  test("reads every part and decodes it", () => {
    expect(
      read("postgresql://us%20er:p%40ss%2F@db.example.com:5433/my%20db?sslmode=require&options=-c%20a%3Db"),
    ).toEqual({
      hosts: [{ host: "db.example.com", port: 5433 }],
      user: "us er",
      password: "p@ss/",
      database: "my db",
      parameters: new Map([
        ["sslmode", "require"],
        ["options", "-c a=b"],
      ]),
    });
  });

  test("reads several hosts with and without ports", () => {
    expect(read("postgres://h1:5432,h2,[::1]:5433/db").hosts).toEqual([
      { host: "h1", port: 5432 },
      { host: "h2", port: undefined },
      { host: "::1", port: 5433 },
    ]);
  });

  test("reads a socket directory in the query and in the host", () => {
    expect(read("postgres:///db?host=/var/run/postgresql&port=5433").hosts).toEqual([
      { host: "/var/run/postgresql", port: 5433 },
    ]);
    expect(read("postgres://%2Fvar%2Frun/db").hosts).toEqual([{ host: "/var/run", port: undefined }]);
  });

  test("gives every host of the query its own port", () => {
    expect(read("postgres:///db?host=a,b&port=1,2").hosts).toEqual([
      { host: "a", port: 1 },
      { host: "b", port: 2 },
    ]);
  });

  test("takes the last @ as the end of the credentials", () => {
    expect(read("postgres://app:p@ss#?w@db/app")).toMatchObject({ user: "app", password: "p@ss#?w", database: "app" });
  });

  test("keeps a plus in a parameter", () => {
    expect(read("postgres://db/app?options=a+b").parameters.get("options")).toBe("a+b");
  });

  test.each([
    ["mysql://db/app", "postgres://"],
    ["postgres://db:70000/app", "port"],
    ["postgres://app:pass/word@db/app", "slash"],
    ["postgres://app:12/word@db/app", "slash"],
    ["postgres://app:100%@db/app", "%25"],
    ["postgres://app:%ff@db/app", "%25"],
    ["postgres://::1/app", "brackets"],
    ["postgres://db/app?sslmode", "no value"],
    ["postgres://db/app?host=other", "twice"],
    ["postgres:///app?host=a,b&port=1,2,3", "number of ports"],
  ])("refuses %s and says why", (text, reason) => {
    expect(parsePostgresUrl(text)).toEqual({ wrong: expect.stringContaining(reason) });
  });
});

describe("formatPostgresUrl", () => {
  test.each([
    "postgres://app:p%40ss%2F%3A@db.example.com:5433/my%20db?options=-c%20a%3Db",
    "postgres://h1:5432,h2:5433/db",
    "postgres://app@[::1]:5432/db",
    "postgres:///db?host=%2Fvar%2Frun&port=5433",
    "postgres://db/",
  ])("writes %s as it was read", (text) => {
    expect(formatPostgresUrl(read(text))).toBe(text);
  });
});

test("a described URL has neither password nor parameters", () => {
  expect(describePostgresUrl(read("postgres://app:hunter22@db:5432/app?sslkey=/k"))).toBe(
    "postgres://app:***@db:5432/app",
  );
});

test("a comma between hosts does not split a list of URLs", () => {
  expect(splitUrls("postgres://a:1,b:2/db, postgres://c/db,")).toEqual(["postgres://a:1,b:2/db", "postgres://c/db"]);
  expect(splitUrls("postgres://a/db,oops")).toEqual(["postgres://a/db", "oops"]);
});
