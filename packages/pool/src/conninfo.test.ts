import { describe, expect, test } from "vitest";
import { isConninfo, readConninfo } from "./conninfo.ts";

describe("readConninfo", () => {
  test("reads lists of hosts and ports, quotes and escapes", () => {
    const text = "host=db1,db2,::1 port=5433,,5434 dbname='my app' user=app password='it\\'s @ secret' sslmode=require";
    expect(isConninfo(text)).toBe(true);
    const { addresses, problems } = readConninfo(text);
    expect(problems).toEqual([]);
    expect(addresses.map(({ name, database }) => `${name} ${database}`)).toEqual([
      "db1:5433 my app",
      "db2:5432 my app",
      "[::1]:5434 my app",
    ]);
    const url = new URL(addresses[1]!.url);
    expect([url.username, decodeURIComponent(url.password), url.search]).toEqual([
      "app",
      "it's @ secret",
      "?sslmode=require",
    ]);
    expect(JSON.stringify(addresses)).not.toContain("secret");
  });

  test("reads a socket directory and one port for all", () => {
    expect(readConninfo("host=/run/postgresql").addresses[0]).toMatchObject({ host: "/run/postgresql", port: 5432 });
    expect(readConninfo("host = a,b port = 6000").addresses.map(({ name }) => name)).toEqual(["a:6000", "b:6000"]);
  });

  test.each([
    ["host=a,b,c port=1,2", "has 2 ports for 3 hosts: give one, or one for each"],
    ["host=a connect_timeout=5", "has the keyword connect_timeout: give connectTimeoutMs instead"],
    ["host=a hots=b", "has the keyword hots, which is not known here"],
    ["host=a password='topsecret", 'cannot be read after "host": expected keyword=value'],
    ["host=a port=x", 'has the port "x", not 1 to 65535'],
  ])("names what is wrong with %s, and no value of it that is secret", (text, problem) => {
    expect(readConninfo(text).problems).toEqual([problem]);
  });

  test("leaves URLs alone", () => {
    expect(isConninfo("postgres://u@h/db?host=a")).toBe(false);
  });
});
