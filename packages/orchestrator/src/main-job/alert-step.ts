import { toTlsOptions } from "@db/config";
import { AbortedError, noLogger, systemClock, toDatabase } from "@db/core";
import { defaultRules, renderPrometheus } from "@db/monitor";
import { Pool } from "pg";
import { createEvents } from "../events.ts";
import { createMonitoring } from "../monitoring.ts";
import type { Orchestrator } from "../orchestrator.ts";
import { connectionOf } from "../pool-options.ts";
import type { Step } from "./step.ts";

const rule = "PgLockWait";
const longestMs = 20_000;

/** Two sessions and one advisory lock: a real wait, and nothing in the database that stays. */
const lockSql = "select pg_catalog.pg_advisory_xact_lock(7306102, 1)";

export const monitorStep: Step = {
  name: "monitor",
  title: "Metrics scraped, an alert fired and cleared",
  needs: ["connect"],
  async run({ orchestrator, signal }) {
    const snapshot = await orchestrator.monitor.collect({ signal, force: true });
    const series = renderPrometheus(snapshot)
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#")).length;
    const findings = orchestrator.monitor.findings();
    const scraped = `${series.toLocaleString("en")} series from ${snapshot.servers.filter(({ up }) => up).length} servers`;
    if (orchestrator.config.connection === undefined) return { detail: scraped, facts: { series }, findings };
    const seen = await seeOneAlert(orchestrator, signal);
    return {
      detail: `${scraped}; ${rule} fired after ${seen.firedAfterMs} ms of a lock wait and cleared ${seen.clearedAfterMs} ms after it ended`,
      facts: { series, rule, ...seen },
      findings,
    };
  },
};

// A monitor of its own with the limit brought down to a fifth of a second, so that the running one keeps its truth.
async function seeOneAlert(
  orchestrator: Orchestrator,
  signal: AbortSignal,
): Promise<{ firedAfterMs: number; clearedAfterMs: number }> {
  const monitoring = createMonitoring({
    config: orchestrator.config,
    pool: undefined,
    events: createEvents(() => undefined),
    clock: systemClock,
    logger: noLogger,
    rules: defaultRules.filter(({ name }) => name === rule),
    overrides: [{ rule, thresholds: { warn: 0.2, page: 3_600 }, clear: { warn: 0.2 }, forMs: 0 }],
  });
  const release = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  // Both on the same server: a lock on a standby is another one than that on its primary.
  const connection = connectionOf(orchestrator.config);
  const sessions = new Pool({
    connectionString: connection.primaryUrl.reveal(),
    ssl: toTlsOptions(connection.tls),
    application_name: "db-alert-proof",
    max: 2,
    connectionTimeoutMillis: 5_000,
  });
  sessions.on("error", () => undefined);
  const db = toDatabase(sessions);
  const holder = db.withTransaction(async (tx) => {
    await tx.query(lockSql);
    held.resolve();
    await release.promise;
  });
  holder.catch(held.reject);
  let waiter: Promise<unknown> | undefined;
  try {
    await held.promise;
    const startedAt = performance.now();
    waiter = db.withTransaction((tx) => tx.query(lockSql));
    waiter.catch(() => undefined);
    await until(() => monitoring.monitor.alerts().some(({ state }) => state === "firing"), monitoring, signal);
    const firedAt = performance.now();
    release.resolve();
    await Promise.all([holder, waiter]);
    const endedAt = performance.now();
    await until(() => monitoring.monitor.alerts().length === 0, monitoring, signal);
    return {
      firedAfterMs: Math.round(firedAt - startedAt),
      clearedAfterMs: Math.round(performance.now() - endedAt),
    };
  } finally {
    release.resolve();
    await Promise.allSettled([holder, waiter]);
    await Promise.all([sessions.end(), monitoring.close()]);
  }
}

async function until(
  holds: () => boolean,
  { monitor }: { readonly monitor: Orchestrator["monitor"] },
  signal: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + longestMs;
  for (;;) {
    await monitor.collect({ signal, force: true });
    if (holds()) return;
    if (Date.now() > deadline)
      throw new AbortedError(`the alert ${rule} did not follow within ${longestMs} ms`, {
        hint: "Look at db monitor alerts and db doctor.",
      });
    await systemClock.sleep(50, signal);
  }
}
