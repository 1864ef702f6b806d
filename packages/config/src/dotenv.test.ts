import { parseEnv } from "node:util";
import { describe, expect, test } from "vitest";
import { parseDotenv } from "./dotenv.ts";

const values = (text: string): Record<string, string> =>
  Object.fromEntries([...parseDotenv(text).entries].map(([name, { value }]) => [name, value]));

describe("parseDotenv", () => {
  test("agrees with Node on quotes, comments, export and lines", () => {
    const text = [
      "# comment",
      "PLAIN=value",
      "export EXPORTED=yes",
      " SPACED = around ",
      "EMPTY=",
      `SINGLE='it # stays'`,
      `DOUBLE="line\\nbreak"`,
      "BACK=`both ' and \"`",
      `MULTI="first`,
      `second"`,
      "AFTER=1 # comment",
      "TWICE=1",
      "TWICE=2",
    ].join("\n");
    expect(values(text)).toEqual({ ...parseEnv(text) });
  });

  test("keeps a # that follows no space, which may be a piece of a password", () => {
    expect(values("DATABASE_URL=postgres://app:a#b@db/app")).toEqual({ DATABASE_URL: "postgres://app:a#b@db/app" });
  });

  test("knows the line of each assignment, also after a value of several lines and with CRLF", () => {
    const { entries } = parseDotenv('A=1\r\nB="x\r\ny"\r\nC=3\r\n');
    expect([...entries.values()].map(({ line }) => line)).toEqual([1, 2, 4]);
    expect(entries.get("B")!.value).toBe("x\ny");
  });

  test("takes an unclosed quote as it stands and tells unreadable lines", () => {
    expect(values(`A="open\nB=2`)).toEqual({ A: '"open', B: "2" });
    expect(parseDotenv("A=1\nwhat is this\n=no").unreadableLines).toEqual([2, 3]);
  });
});
