import { randomUUID } from "node:crypto";
import type { Progress } from "@db/core";
import { messageOf } from "@db/core";
import { scrub } from "../problem.ts";
import type { ActionRun, AdminAction } from "./action.ts";

/** One execution of an action. */
export interface ActionJob {
  readonly id: string;
  readonly action: string;
  readonly subject: string;
  readonly state: "running" | "done" | "failed";
  /** ISO 8601. */
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly progress: { readonly phase: string; readonly current: number; readonly total: number | null } | null;
  readonly result: unknown;
  readonly error: { readonly code: string; readonly detail: string } | null;
}

const keptJobs = 200;

/** Executions, the last 200 of them. Of each action one runs at a time. */
export interface ActionJobs {
  /** @returns undefined while the same action is running */
  start(
    action: AdminAction,
    work: (run: Pick<ActionRun, "signal" | "onProgress">) => Promise<unknown>,
    subject: string,
  ): ActionJob | undefined;
  find(id: string): ActionJob | undefined;
  /** The job as it is once it ended, or after `ms`. */
  settled(id: string, ms: number): Promise<ActionJob | undefined>;
  readonly newestFirst: readonly ActionJob[];
  /** Waits for what runs, at most `ms`; then tells it to stop and waits for that. */
  close(ms: number): Promise<void>;
}

export function createActionJobs(): ActionJobs {
  const jobs = new Map<string, ActionJob>();
  const running = new Map<string, Promise<void>>();
  const stop = new AbortController();
  const set = (id: string, change: Partial<ActionJob>): void => {
    const job = jobs.get(id);
    if (job) jobs.set(id, { ...job, ...change });
  };
  return {
    start(action, work, subject) {
      if (stop.signal.aborted) return undefined;
      if ([...running.keys()].some((id) => jobs.get(id)?.action === action.name)) return undefined;
      const id = randomUUID();
      const job: ActionJob = {
        id,
        action: action.name,
        subject,
        state: "running",
        startedAt: new Date().toISOString(),
        endedAt: null,
        progress: null,
        result: null,
        error: null,
      };
      jobs.set(id, job);
      for (const [old, { state }] of jobs) if (jobs.size > keptJobs && state !== "running") jobs.delete(old);
      const onProgress = ({ phase, current, total }: Progress): void =>
        set(id, { progress: { phase, current, total: total ?? null } });
      const end = (change: Partial<ActionJob>): void => set(id, { ...change, endedAt: new Date().toISOString() });
      const ended = work({ signal: stop.signal, onProgress }).then(
        (result) => end({ state: "done", result: result ?? null }),
        (error: unknown) => {
          const { code } = error as { code?: unknown };
          const told = typeof code === "string" && /^[A-Z0-9_]+$/.test(code) ? code : "UNEXPECTED";
          end({ state: "failed", error: { code: told, detail: scrub(messageOf(error)) } });
        },
      );
      running.set(
        id,
        ended.finally(() => running.delete(id)),
      );
      return job;
    },
    find: (id) => jobs.get(id),
    async settled(id, ms) {
      await within(running.get(id), ms);
      return jobs.get(id);
    },
    get newestFirst() {
      return [...jobs.values()].toReversed();
    },
    async close(ms) {
      await within(Promise.all(running.values()), ms);
      stop.abort();
      await within(Promise.all(running.values()), 2_000);
    },
  };
}

async function within(work: Promise<unknown> | undefined, ms: number): Promise<void> {
  if (!work) return;
  let timer: NodeJS.Timeout | undefined;
  const bound = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([work, bound]);
  clearTimeout(timer);
}
