import { expect, test } from "vitest";
import { noLogger } from "@db/core";
import { isLater, leaks, send, strangeRequests } from "./fuzz.ts";
import { scopedTokens, startLoadedPlatform } from "./loaded-platform.ts";

test("10,000 strange requests to a loaded platform get no fault and no secret, and change nothing", async () => {
  const failures: string[] = [];
  await using platform = await startLoadedPlatform({
    tokens: scopedTokens,
    adminActions: ["sessions", "statements", "backups", "drills", "restores", "migrations", "indexes", "alerts"],
    signInsPerMinute: 1e6,
    actionsPerMinute: 1e6,
    logger: { ...noLogger, error: (fields) => failures.push(`${String(fields["route"])}: ${String(fields["err"])}`) },
  });
  const before = await platform.orchestrator.audit.entries();
  const release = await platform.block();
  const requests = strangeRequests(7_306_102, 10_000);
  const statuses = new Map<number, number>();
  const wrong: string[] = [];
  let later = 0;
  const worker = async (): Promise<void> => {
    for (const each of requests) {
      const answer = await send(platform.server.port, each);
      const { line, status, body } = answer;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const fault = status >= 500 && !isLater(answer);
      if (status >= 500 && !fault) later += 1;
      if (fault || leaks.test(body)) wrong.push(`${status} ${line}\n  ${leaks.exec(body)?.[0] ?? body.slice(0, 200)}`);
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  await release();
  console.log(`answers by status: ${JSON.stringify(Object.fromEntries([...statuses].toSorted(([a], [b]) => a - b)))}`);
  console.log(`of them "not now": ${later}; why: ${JSON.stringify([...new Set(failures)])}`);
  expect(wrong.slice(0, 10)).toEqual([]);
  // A table is locked all the while: what needs it may say "not now", nothing else does.
  expect(later).toBeLessThan(100);
  expect([...statuses.values()].reduce((sum, each) => sum + each, 0)).toBe(10_000);
  // They were really answered, not only refused.
  expect(statuses.get(200)).toBeGreaterThan(1_000);
  // A plan was never agreed to, so nothing was done.
  const after = await platform.orchestrator.audit.entries();
  expect(after.slice(before.length).map(({ operation }) => operation)).toEqual([]);
});
