import { AbortedError } from "@db/core";
import { describe, expect, test } from "vitest";
import { classifyError, type ErrorContext, isInfrastructureError } from "./classify.ts";
import { AcquireTimeoutError, ConnectionLostError, ConnectTimeoutError } from "./errors.ts";

const withCode = (code: string, message = "it failed"): Error => Object.assign(new Error(message), { code });
const single: ErrorContext = { phase: "sent", singleStatement: true };

describe("classifyError", () => {
  test.each([
    ["40001", {}, "transient", "always", false],
    ["40P01", {}, "transient", "always", false],
    ["55P03", {}, "transient", "always", false],
    ["57P03", { phase: "connect" }, "connection", "always", true],
    ["53300", { phase: "connect" }, "connection", "always", true],
    ["ECONNREFUSED", {}, "connection", "always", true],
    ["ENOTFOUND", {}, "connection", "always", true],
    ["25006", {}, "wrong-role", "always", true],
    ["26000", {}, "stale-plan", "always", true],
    ["57P01", single, "connection", "always", true],
    ["57P01", { phase: "completed", singleStatement: true }, "connection", "idempotent", true],
    ["57P01", { phase: "sent" }, "connection", "idempotent", true],
    ["57P02", single, "connection", "idempotent", true],
    ["08006", single, "connection", "idempotent", true],
    ["ECONNRESET", single, "connection", "idempotent", true],
    ["ECONNRESET", { phase: "unsent" }, "connection", "always", true],
    ["53100", {}, "transient", "idempotent", true],
    ["57P01", { phase: "commit" }, "unknown-outcome", "never", true],
    ["ECONNRESET", { phase: "commit" }, "unknown-outcome", "never", true],
    ["40001", { phase: "commit" }, "transient", "always", false],
    ["40003", {}, "unknown-outcome", "never", true],
    ["08007", {}, "unknown-outcome", "never", true],
    ["23505", {}, "permanent", "never", false],
    ["42P01", {}, "permanent", "never", false],
    ["22P02", {}, "permanent", "never", false],
    ["57014", {}, "permanent", "never", false],
    ["28P01", {}, "permanent", "never", true],
    ["08P01", {}, "permanent", "never", true],
    ["XX000", {}, "permanent", "never", true],
  ] as const)("%s in %j is %s, retried %s, evicts: %s", (code, context, kind, retry, evict) => {
    expect(classifyError(withCode(code), context)).toMatchObject({ kind, retry, evict });
  });

  test("tells a stale plan and a recovery refusal by their messages, since their codes say less", () => {
    expect(classifyError(withCode("0A000", "cached plan must not change result type")).kind).toBe("stale-plan");
    expect(classifyError(withCode("0A000", "not supported")).kind).toBe("permanent");
    expect(classifyError(withCode("55000", "recovery is in progress")).kind).toBe("wrong-role");
  });

  test("treats pg's errors without a code as a lost connection", () => {
    expect(classifyError(new Error("Connection terminated unexpectedly"))).toMatchObject({ retry: "idempotent" });
    expect(classifyError(new TypeError("x is not a function"))).toMatchObject({ kind: "permanent" });
  });

  test("keeps what the pool's own errors say", () => {
    const lost = (phase: "unsent" | "sent"): Error => new ConnectionLostError({ server: "a", phase, cause: undefined });
    expect(classifyError(lost("unsent")).retry).toBe("always");
    expect(classifyError(lost("sent")).retry).toBe("idempotent");
    expect(classifyError(new ConnectTimeoutError({ server: "a", timeoutMs: 1 })).retry).toBe("always");
    expect(classifyError(new AbortedError("stop")).retry).toBe("never");
  });
});

describe("isInfrastructureError", () => {
  test("counts the server's failures and not the caller's", () => {
    expect(isInfrastructureError(withCode("ECONNREFUSED"))).toBe(true);
    expect(isInfrastructureError(withCode("23505"))).toBe(false);
    const facts = { server: "a", waitedMs: 1, max: 1, checkedOut: 1, idle: 0, connecting: 0, waiting: 0 };
    expect(isInfrastructureError(new AcquireTimeoutError(facts))).toBe(false);
  });
});
