import { type Logger, messageOf, type Service, type ServiceHealth } from "@db/core";
import { Cron } from "croner";
import { JobRunningError, UnknownJobError } from "./errors.ts";
import type { Events } from "./events.ts";

/** Work that repeats by the clock. */
export interface Job {
  readonly name: string;
  /** Five cron fields, local time: `0 2 * * *` is every day at 02:00. */
  readonly schedule: string;
  /** Bounded by the job itself; `signal` fires when the orchestrator stops. */
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** What is known of a job, for the page and for `db schedule`. */
export interface JobState {
  readonly name: string;
  readonly schedule: string;
  /** When its time comes next, ISO 8601; `null` for a schedule that never comes again. */
  readonly dueAt: string | null;
  /** The same while the jobs are started, else `null`: nothing here would run it. */
  readonly nextRunAt: string | null;
  readonly lastOutcome: "ok" | "failed" | "skipped" | null;
  readonly lastRunAt: string | null;
}

/** Runs jobs on their schedules. A job that is still running when its time comes again is skipped, and that is told. */
export interface Jobs extends Service {
  readonly states: readonly JobState[];
  /**
   * Runs one job now, whether the jobs are started or not.
   * @throws {UnknownJobError}
   * @throws {JobRunningError} its last run has not ended
   * @throws what the job throws
   */
  runNow(name: string, signal?: AbortSignal): Promise<void>;
}

export function createJobs(jobs: readonly Job[], options: { readonly events: Events; readonly logger: Logger }): Jobs {
  const { events, logger } = options;
  let abort = new AbortController();
  const timers = new Map<string, Cron>();
  const active = new Map<string, Promise<void>>();
  const last = new Map<string, { outcome: "ok" | "failed" | "skipped"; at: string }>();

  const finish = (job: Job, outcome: "ok" | "failed" | "skipped", startedAt: number): void => {
    last.set(job.name, { outcome, at: new Date(startedAt).toISOString() });
    events.emit("job:finished", { job: job.name, outcome, durationMs: Date.now() - startedAt });
  };
  const runJob = async (job: Job, signal: AbortSignal): Promise<void> => {
    const startedAt = Date.now();
    if (active.has(job.name)) {
      finish(job, "skipped", startedAt);
      throw new JobRunningError(job.name);
    }
    const work = job.run(signal).then(
      () => finish(job, "ok", startedAt),
      (error: unknown) => {
        finish(job, "failed", startedAt);
        throw error;
      },
    );
    active.set(job.name, work);
    await work.finally(() => active.delete(job.name));
  };
  const runOnTime = (job: Job): Promise<void> =>
    runJob(job, abort.signal).catch((error: unknown) => {
      if (error instanceof JobRunningError) logger.warn({ job: job.name }, "job skipped: its last run has not ended");
      else logger.error({ job: job.name, err: error }, `job failed: ${messageOf(error)}`);
    });

  const service: Jobs = {
    name: "jobs",
    start: async () => {
      if (abort.signal.aborted) abort = new AbortController();
      for (const job of jobs) {
        if (timers.has(job.name)) continue;
        timers.set(job.name, new Cron(job.schedule, { unref: true }, () => runOnTime(job)));
      }
    },
    stop: async ({ timeoutMs = 10_000 } = {}) => {
      for (const timer of timers.values()) timer.stop();
      timers.clear();
      abort.abort();
      const ended = Promise.allSettled(active.values());
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, timeoutMs).unref())]);
    },
    health: (): ServiceHealth => {
      const failed = [...last].filter(([, { outcome }]) => outcome === "failed").map(([name]) => name);
      const time = new Date().toISOString();
      return failed.length === 0
        ? { status: "pass", checks: [] }
        : {
            status: "warn",
            checks: [{ name: "jobs:lastRun", status: "warn", time, output: `last run failed: ${failed.join(", ")}` }],
          };
    },
    get states() {
      return jobs.map((job) => ({
        name: job.name,
        schedule: job.schedule,
        dueAt: new Cron(job.schedule, { paused: true }).nextRun()?.toISOString() ?? null,
        nextRunAt: timers.get(job.name)?.nextRun()?.toISOString() ?? null,
        lastOutcome: last.get(job.name)?.outcome ?? null,
        lastRunAt: last.get(job.name)?.at ?? null,
      }));
    },
    runNow: async (name, signal) => {
      const job = jobs.find((each) => each.name === name);
      if (!job)
        throw new UnknownJobError(
          name,
          jobs.map((each) => each.name),
        );
      await runJob(job, signal ? AbortSignal.any([signal, abort.signal]) : abort.signal);
    },
    [Symbol.asyncDispose]: () => service.stop(),
  };
  return service;
}
