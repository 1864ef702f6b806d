import {
  type AlertSeverity,
  createMonitor,
  defaultRules,
  type Monitor,
  type MonitorOptions,
  type RuleOverride,
} from "@db/monitor";
import { expect, vi } from "vitest";

const minute = 60_000;

/** A fault that is really caused, and what ends it. */
export interface Fault {
  readonly rule: string;
  /** Other limits, so that nobody waits an hour; nothing has to last. */
  readonly thresholds?: Partial<Record<AlertSeverity, number>>;
  /** Series the limits are for; the alert looked for must have them too. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly server?: string;
  /** Causes it, over and over until the rule fires when `again` is set. */
  readonly cause: () => Promise<unknown>;
  readonly again?: boolean;
  /** Ends it. Default nothing: time ends it, since the rule looks at a window. */
  readonly mend?: () => Promise<unknown>;
  readonly options?: Partial<MonitorOptions>;
}

/** A clock that stands where it is put: every collection finds everything due. */
export interface Shift {
  ms: number;
}

/**
 * Watches a server with one rule: silent before the fault, firing while it lasts, cleared after.
 * @returns the monitor, for a closer look
 */
export async function expectFault(
  base: Pick<MonitorOptions, "db"> & Partial<MonitorOptions>,
  fault: Fault,
  shift: Shift = { ms: 0 },
): Promise<Monitor> {
  const { rule, thresholds, labels } = fault;
  const override: RuleOverride = {
    rule,
    forMs: 0,
    ...(thresholds && { thresholds }),
    ...(labels && { labels }),
  };
  const monitor = createMonitor({
    tierMs: { T1: 1, T2: 1 },
    intervalMs: 1,
    // What was among the first hundred is no concern here, and takes time.
    waits: false,
    clock: { now: () => Date.now() + shift.ms, sleep: () => Promise.resolve() },
    ...base,
    ...fault.options,
    rules: defaultRules.filter(({ name }) => name === rule),
    overrides: [override],
  });
  const firing = (): boolean =>
    monitor
      .alerts()
      .some(
        (alert) =>
          alert.state === "firing" &&
          (fault.server === undefined || alert.server === fault.server) &&
          Object.entries(labels ?? {}).every(([name, value]) => alert.labels[name] === value),
      );
  const look = async (): Promise<boolean> => {
    shift.ms += 10;
    await monitor.collect();
    return firing();
  };
  await look();
  expect(await look(), `${rule} is silent before`).toBe(false);
  if (!fault.again) await fault.cause();
  await vi.waitFor(
    async () => {
      if (fault.again) await fault.cause();
      expect(await look(), `${rule} fires`).toBe(true);
    },
    { timeout: 20_000, interval: 50 },
  );
  if (fault.mend) await fault.mend();
  else shift.ms += 24 * 60 * minute;
  await look();
  await vi.waitFor(async () => expect(await look(), `${rule} clears`).toBe(false), { timeout: 20_000, interval: 50 });
  return monitor;
}
