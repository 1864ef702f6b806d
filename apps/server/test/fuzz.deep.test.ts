import { expect, test } from "vitest";
import { leaks, send, strangeRequests } from "./fuzz.ts";
import { scopedTokens, startLoadedPlatform } from "./loaded-platform.ts";

test("10,000 strange requests to a loaded platform get no 5xx and no secret, and change nothing", async () => {
  await using platform = await startLoadedPlatform({
    tokens: scopedTokens,
    adminActions: ["sessions", "statements", "backups", "drills", "migrations", "indexes"],
    signInsPerMinute: 1e6,
    actionsPerMinute: 1e6,
  });
  const before = await platform.orchestrator.audit.entries();
  const release = await platform.block();
  const requests = strangeRequests(7_306_102, 10_000);
  const statuses = new Map<number, number>();
  const wrong: string[] = [];
  const worker = async (): Promise<void> => {
    for (const each of requests) {
      const { line, status, body } = await send(platform.server.port, each);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status >= 500 || leaks.test(body))
        wrong.push(`${status} ${line}\n  ${leaks.exec(body)?.[0] ?? body.slice(0, 200)}`);
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  await release();
  console.log(`answers by status: ${JSON.stringify(Object.fromEntries([...statuses].toSorted(([a], [b]) => a - b)))}`);
  expect(wrong.slice(0, 10)).toEqual([]);
  expect([...statuses.values()].reduce((sum, each) => sum + each, 0)).toBe(10_000);
  // They were really answered, not only refused.
  expect(statuses.get(200)).toBeGreaterThan(1_000);
  // A plan was never agreed to, so nothing was done.
  const after = await platform.orchestrator.audit.entries();
  expect(after.slice(before.length).map(({ operation }) => operation)).toEqual([]);
});
