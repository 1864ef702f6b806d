import { describe, expect, test } from "vitest";
import { readAddresses } from "./address.ts";

describe("readAddresses", () => {
  test.each([
    ["postgres://u:p@db.example.org:6432/app?sslmode=require", ["db.example.org:6432"], "app"],
    ["postgresql://localhost", ["localhost:5432"], undefined],
    ["postgres://u@[::1]:5433/a%20b", ["[::1]:5433"], "a b"],
    ["postgres://u@h1:1,h2,h3:3/db", ["h1:1", "h2:5432", "h3:3"], "db"],
    ["postgres:///db?host=/run/postgresql&port=5499", ["/run/postgresql:5499"], "db"],
    ["postgres://%2Frun%2Fpostgresql/db", ["/run/postgresql:5432"], "db"],
  ])("reads %s", (url, names, database) => {
    const { addresses, problems } = readAddresses(url);
    expect(problems).toEqual([]);
    expect(addresses.map(({ name }) => name)).toEqual(names);
    expect(addresses[0]?.database).toBe(database);
  });

  test.each([
    ["mysql://u:topsecret@h/db", 'the scheme "mysql"'],
    ["db.example.org/app", "no postgres:// scheme"],
    ["postgres://u:topsecret@h:abc/db", 'the port "abc"'],
    ["postgres://u:topsecret@h:70000/db", 'the port "70000"'],
    ["postgres://u:top%zzsecret@h/db", "user or password"],
    ["postgres://u:topsecret@h/d%zz", "database name"],
    ["postgres://u:topsecret@[::1/db", "host that cannot be read"],
    ["postgres://u:topsecret@a b/db", "host with a space"],
  ])("names the part of %s that is wrong, and no secret", (url, part) => {
    const { problems } = readAddresses(url);
    expect(problems.join("; ")).toContain(part);
    expect(problems.join("; ")).not.toContain("secret");
  });

  test.each([
    "postgresql://u:p@h:5432/db",
    "postgres://u@h/db?sslmode=require&host=other",
    "postgresql:///db?host=/run",
  ])("leaves %s, which is of one server, as it was given", (url) => {
    expect(readAddresses(url).addresses.map((each) => each.url)).toEqual([url]);
  });

  test("gives each of several hosts a URL of its own, which is not shown", () => {
    const { addresses } = readAddresses("postgres://u:p@h1:1,h2:2/db?application_name=x");
    expect(addresses.map(({ url }) => url)).toEqual([
      "postgres://u:p@h1:1/db?application_name=x",
      "postgres://u:p@h2:2/db?application_name=x",
    ]);
    expect(JSON.stringify(addresses)).not.toContain("u:p");
  });
});
