import { describe, expect, test } from "vitest";
import {
  formatBytes,
  formatDuration,
  formatLsn,
  parseBytes,
  parseDurationMs,
  parseLsn,
  quoteIdentifier,
  quoteLiteral,
  redactUrls,
  walSegmentName,
} from "./index.ts";

describe("units", () => {
  test.each([
    ["250ms", 250],
    ["30s", 30_000],
    ["5 min", 300_000],
    ["7d", 604_800_000],
  ])("reads the duration %s", (text, ms) => expect(parseDurationMs(text)).toBe(ms));

  test.each(["30", "", "1.5h", "-1s", "5 minutes"])("refuses the duration %j: its unit would be a guess", (text) => {
    expect(() => parseDurationMs(text)).toThrow(expect.objectContaining({ code: "CORE_INVALID_DURATION" }));
  });

  test.each([
    [0, "0 ms"],
    [0.25, "0.25 ms"],
    [1.44, "1.4 ms"],
    [86.2, "86 ms"],
    [12_340, "12.3 s"],
    [250_000, "4 min 10 s"],
    [3_600_000, "1 h"],
    [187_200_000, "2 d 4 h"],
  ])("writes %d ms for people", (ms, text) => expect(formatDuration(ms)).toBe(text));

  test("reads and writes sizes in PostgreSQL's units", () => {
    expect(parseBytes("512MB")).toBe(536_870_912);
    expect(() => parseBytes("512")).toThrow(expect.objectContaining({ code: "CORE_INVALID_BYTE_SIZE" }));
    expect([formatBytes(812), formatBytes(14_889_779), formatBytes(5n * 1024n ** 3n)]).toEqual([
      "812 B",
      "14.2 MB",
      "5.0 GB",
    ]);
  });
});

describe("WAL positions", () => {
  test("are read and written as PostgreSQL does", () => {
    expect(formatLsn(parseLsn("16/B374D848"))).toBe("16/B374D848");
    expect(() => parseLsn("16-B374D848")).toThrow(expect.objectContaining({ code: "CORE_INVALID_LSN" }));
  });

  test("name their segment, also with another segment size", () => {
    expect(walSegmentName(1, parseLsn("0/3000060"))).toBe("000000010000000000000003");
    expect(walSegmentName(2, parseLsn("1/FF000000"))).toBe("0000000200000001000000FF");
    expect(walSegmentName(1, parseLsn("0/300000"), 1024 * 1024)).toBe("000000010000000000000003");
  });
});

describe("quoting", () => {
  test("keeps an identifier one identifier", () => {
    expect(quoteIdentifier('user"; drop table x; --')).toBe('"user""; drop table x; --"');
    expect(() => quoteIdentifier("")).toThrow(expect.objectContaining({ code: "CORE_INVALID_IDENTIFIER" }));
  });

  test("keeps a value one value whatever standard_conforming_strings says", () => {
    expect(quoteLiteral("it's")).toBe("'it''s'");
    expect(quoteLiteral("a\\'b")).toBe(" E'a\\\\''b'");
  });
});

describe("redaction", () => {
  test.each([
    ["connect postgres://app:hunter2@db:5432/shop failed", "connect postgres://app:***@db:5432/shop failed"],
    ["postgresql://u:p%40ss:w@h/d?sslmode=require", "postgresql://u:***@h/d?sslmode=require"],
    ["host=db password=hunter2 user=app", "host=db password=*** user=app"],
    ["PGPASSWORD=hunter2", "PGPASSWORD=***"],
    ["3 rows of public.bills", "3 rows of public.bills"],
  ])("hides the secret of %j and nothing else", (text, shown) => expect(redactUrls(text)).toBe(shown));
});
