import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { redactError, redactText } from "./redaction.ts";
import { Secret } from "./secret.ts";

const value = "hunter22/secret?";
const secret = new Secret(value, "postgres://app:***@db/app");

describe("Secret", () => {
  test("shows itself to nobody who does not ask", () => {
    const shown = [
      `a ${secret as unknown as string}`,
      String(secret),
      [secret].join(),
      JSON.stringify({ secret }),
      inspect(secret),
      inspect({ deep: { deeper: [secret] } }, { depth: 9, showHidden: true }),
      JSON.stringify(Object.entries(secret)),
      JSON.stringify(Object.assign({}, secret)),
    ];
    for (const text of shown) expect(text).not.toContain("hunter22");
    expect(secret.reveal()).toBe(value);
  });
});

describe("redactText", () => {
  test("takes out plain, percent-encoded and JSON-escaped forms", () => {
    const odd = 'pa"ss wörd';
    const text = `${odd} ${encodeURIComponent(odd)} ${encodeURI(odd)} ${JSON.stringify(odd)}`;
    expect(redactText(text, [new Secret(odd)])).toBe('*** *** *** "***"');
  });

  test("takes out passwords of URLs that it was not told of", () => {
    expect(redactText("cannot reach postgres://app:swordfish@db:5432/app")).not.toContain("swordfish");
  });

  test("does not search for very short secrets, which would hide the message", () => {
    expect(redactText("a bad answer", ["a"])).toBe("a bad answer");
  });
});

describe("redactError", () => {
  test("cleans message, stack, causes, aggregated errors and own fields, and keeps the error", () => {
    const cause = Object.assign(new Error(`cause ${value}`), { detail: `detail ${value}`, code: "28P01" });
    const error = Object.assign(new AggregateError([new Error(`inner ${value}`)], `message ${value}`, { cause }), {
      config: { password: value, nested: [value] },
    });
    const redacted = redactError(error, [secret]);
    expect(redacted).toBe(error);
    expect(inspect(redacted, { depth: 9, showHidden: true })).not.toContain("hunter22");
    expect(redacted.stack).not.toContain("hunter22");
    expect((redacted.cause as { code: string }).code).toBe("28P01");
  });

  test("survives cycles, getters that throw and frozen errors", () => {
    const cyclic: Error & { self?: unknown } = new Error(`message ${value}`);
    cyclic.self = cyclic;
    Object.defineProperty(cyclic, "broken", {
      enumerable: true,
      get: () => {
        throw new Error("no");
      },
    });
    expect(redactError(cyclic, [value]).message).toBe("message ***");
    const frozen = Object.freeze(new TypeError(`message ${value}`));
    expect(redactError(frozen, [value]).message).toBe("message ***");
  });

  test("leaves what is no error alone", () => {
    expect(redactError(undefined, [value])).toBeUndefined();
    expect(redactError(42, [value])).toBe(42);
    expect(redactError(`text ${value}`, [value])).toBe("text ***");
  });
});
