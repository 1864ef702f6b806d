import { describe, expect, test } from "vitest";
import { readService } from "./service-file.ts";

const file = `# services
[first]
host=one

[app]
 host = two
port=5433
host=ignored
what is this
[app]
user=nobody
`;

describe("readService", () => {
  test("reads the first section of that name, and of a keyword the first value", () => {
    expect(readService(file, "app")).toEqual({
      values: new Map([
        ["host", "two"],
        ["port", "5433"],
      ]),
      unreadableLines: [9],
    });
  });

  test("knows no service that has no section", () => {
    expect(readService(file, "ap")).toBeUndefined();
  });
});
