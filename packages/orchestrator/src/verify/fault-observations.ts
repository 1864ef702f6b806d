import { type HealthStatus, isDbError, messageOf, redactUrls, systemClock } from "@db/core";
import { createPool, type Pool, type PoolOptions } from "@db/pool";
import { poolOptionsOf } from "../pool-options.ts";
import { createOrchestrator } from "../orchestrator.ts";
import { gateConfig, type GatedConfig } from "./gated-config.ts";
import type { Observed, Subject } from "./recommendation.ts";

const pollMs = 25;
const noticeWithinMs = 15_000;

/** Cuts the way to the primary under statements and watches the circuit open, refuse, and close again. */
export async function observeBreaker(subject: Subject): Promise<Observed> {
  // Nothing else that could hide a failure or stand in for the circuit's own counting.
  return await throughGate(subject, { retry: false, probeIntervalMs: false, failoverTimeoutMs: false }, see);
  async function see(pool: Pool, { gate, config }: GatedConfig): Promise<Observed> {
    await pool.query("select 1");
    gate.cut();
    const { circuitBreaker } = config.pool;
    const most = 20 + 4 * (circuitBreaker === false ? 0 : circuitBreaker.failureThreshold);
    let failures = 0;
    for (; failures < most && breakerOf(pool) !== "open"; failures += 1) {
      subject.signal.throwIfAborted();
      await pool.query("select 1").catch(() => undefined);
    }
    if (breakerOf(pool) !== "open") {
      return {
        verdict: "refuted",
        seen: `${failures} statements in a row failed and the circuit stayed ${breakerOf(pool)}`,
        hint: "Leave features.circuitBreaker on and give pool.circuitBreaker a threshold.",
        facts: { failures },
      };
    }
    const before = gate.attempts;
    const refusal: unknown = await pool.query("select 1").then(
      () => undefined,
      (error: unknown) => error,
    );
    const refused = isDbError(refusal, "POOL_CIRCUIT_OPEN") && gate.attempts === before;
    if (!refused) {
      return {
        verdict: "refuted",
        seen: "the circuit was open and a statement was tried all the same",
        facts: { failures },
      };
    }
    gate.restore();
    const restoredAt = performance.now();
    const resetMs = circuitBreaker === false ? 0 : circuitBreaker.resetTimeoutMs;
    const closed = await becomes(subject, resetMs + noticeWithinMs, async () => {
      await pool.query("select 1").catch(() => undefined);
      return breakerOf(pool) === "closed";
    });
    const closedAfterMs = Math.round(performance.now() - restoredAt);
    if (!closed)
      return { verdict: "refuted", seen: "the circuit did not close again", facts: { failures, closedAfterMs } };
    return {
      verdict: "proved",
      seen: `opened after ${failures} failed statements, refused the next one without trying it, closed once the server was back`,
      facts: { failures, closedAfterMs },
    };
  }
}

/** Loses the connection under a statement that may be repeated, and watches it be repeated. */
export async function observeRetry(subject: Subject): Promise<Observed> {
  return await throughGate(subject, { probeIntervalMs: false, failoverTimeoutMs: false }, async (pool, { gate }) => {
    await pool.query("select 1");
    gate.loseNext();
    try {
      const { rows } = await pool.query<{ seven: number }>("select 7 as seven", [], { idempotent: true });
      const { retries } = pool.stats();
      if (rows[0]?.seven === 7 && retries > 0) {
        const seen = "a connection was lost under a statement; it was run again on another and its answer was right";
        return { verdict: "proved", seen, facts: { retries } };
      }
      return {
        verdict: "refuted",
        seen: "a connection was lost under a statement and no retry was counted",
        facts: { retries },
      };
    } catch (error) {
      return {
        verdict: "refuted",
        seen: `a connection was lost under a statement, and the statement failed: ${redactUrls(messageOf(error))}`,
        hint: "Leave DB_MAX_RETRIES above 0.",
        facts: { retries: pool.stats().retries },
      };
    }
  });
}

/** Cuts the way to the primary and waits to be told, without asking: that it fails, and that it is well again. */
export async function observeHealth(subject: Subject): Promise<Observed> {
  const gated = await gateConfig(subject.config);
  await using gate = gated.gate;
  await using orchestrator = createOrchestrator(gated.config, { logger: subject.logger });
  let told: HealthStatus | undefined;
  orchestrator.events.on("health:changed", ({ to }) => (told = to));
  await orchestrator.start(["pool", "health"], subject.signal);
  const atFirst = (await orchestrator.health()).status;
  if (atFirst === "fail") {
    return { verdict: "refuted", seen: "health says that the database fails although it answers", facts: { atFirst } };
  }
  const cutAt = performance.now();
  gate.cut();
  const noticed = await becomes(subject, noticeWithinMs, async () => told === "fail");
  const noticedAfterMs = Math.round(performance.now() - cutAt);
  if (!noticed) {
    return {
      verdict: "refuted",
      seen: `the server was away for ${noticedAfterMs} ms and nobody was told`,
      hint: "Give DB_HEALTH_CHECK_INTERVAL a number of milliseconds.",
      facts: { atFirst, noticedAfterMs },
    };
  }
  gate.restore();
  const recovered = await becomes(subject, noticeWithinMs, async () => told === atFirst);
  const facts = { atFirst, noticedAfterMs, recovered };
  if (!recovered) return { verdict: "refuted", seen: "the server came back and nobody was told", facts };
  return {
    verdict: "proved",
    seen: `told after ${noticedAfterMs} ms that the server was away, and that it came back`,
    facts,
  };
}

async function throughGate(
  { config, logger }: Subject,
  changes: Partial<PoolOptions>,
  use: (pool: Pool, gated: GatedConfig) => Promise<Observed>,
): Promise<Observed> {
  const gated = await gateConfig(config);
  await using _gate = gated.gate;
  const options = poolOptionsOf(gated.config, logger);
  await using pool = createPool({ ...options, min: 0, drainTimeoutMs: 1_000, ...changes });
  return await use(pool, gated);
}

function breakerOf(pool: Pool): string {
  return pool.stats().servers[0]!.breaker;
}

async function becomes({ signal }: Subject, withinMs: number, is: () => Promise<boolean>): Promise<boolean> {
  for (const startedAt = performance.now(); performance.now() - startedAt < withinMs;) {
    if (await is()) return true;
    await systemClock.sleep(pollMs, signal);
  }
  return false;
}
