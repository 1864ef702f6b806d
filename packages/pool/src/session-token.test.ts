import { describe, expect, test } from "vitest";
import { checkSessionToken, decodeSessionToken, encodeSessionToken } from "./session-token.ts";

const token = { systemIdentifier: "7391234567890123456", timeline: 3, lsn: "1A/3000060" };

describe("a session token", () => {
  test("goes through text that a cookie can carry", () => {
    const text = encodeSessionToken(token);
    expect(text).toBe("7391234567890123456.3.1A-3000060");
    expect(decodeSessionToken(text)).toEqual(token);
  });

  test.each([
    ["", "its system identifier is no number"],
    ["x.1.0-1", "its system identifier is no number"],
    ["1..0-1", "its timeline is no whole number"],
    ["1.-1.0-1", "its timeline is no whole number"],
    ["1.1.nowhere", "its position is no LSN"],
    ["1.1.0-1.1", "it has more than three parts"],
  ])("%j is refused: %s", (text, problem) => {
    expect(() => decodeSessionToken(text)).toThrow(
      expect.objectContaining({ code: "POOL_INVALID_SESSION_TOKEN", message: expect.stringContaining(problem) }),
    );
  });

  test("that is an object of another kind is refused", () => {
    expect(() => checkSessionToken({} as never)).toThrow("its system identifier is no number");
    expect(() => checkSessionToken({ systemIdentifier: "1", timeline: 1 } as never)).toThrow("its position is no LSN");
  });
});
