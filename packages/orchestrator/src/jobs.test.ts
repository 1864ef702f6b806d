import { noLogger } from "@db/core";
import { describe, expect, test } from "vitest";
import { createEvents, type OrchestratorEvents } from "./events.ts";
import { createJobs } from "./jobs.ts";

function setup(run: (signal: AbortSignal) => Promise<void>, schedule = "0 2,14 * * *") {
  const events = createEvents(() => undefined);
  const finished: OrchestratorEvents["job:finished"][] = [];
  events.on("job:finished", (event) => finished.push(event));
  return {
    finished,
    jobs: createJobs([{ name: "validation", schedule, run }], { events, logger: noLogger }),
  };
}

describe("jobs", () => {
  test("run when their time comes, and again after they were stopped and started", async () => {
    let ran = Promise.withResolvers<AbortSignal>();
    const { jobs } = setup(async (signal) => ran.resolve(signal), "* * * * * *");
    for (const _ of [1, 2]) {
      ran = Promise.withResolvers();
      await jobs.start();
      expect((await ran.promise).aborted).toBe(false);
      await jobs.stop();
    }
  });

  test("names the jobs there are when asked for another", async () => {
    const { jobs } = setup(async () => undefined);
    await expect(jobs.runNow("vacuum")).rejects.toMatchObject({
      code: "ORCHESTRATOR_UNKNOWN_JOB",
      hint: "Jobs: validation.",
    });
  });

  test("says when a job runs next only while started", async () => {
    const { jobs } = setup(async () => undefined);
    expect(jobs.states[0]).toMatchObject({ nextRunAt: null, dueAt: expect.stringContaining(":00:00") as string });
    await jobs.start();
    expect(new Date(jobs.states[0]!.nextRunAt!).getMinutes()).toBe(0);
    await jobs.stop();
  });

  test("skips a job that is still running and says so", async () => {
    const gate = Promise.withResolvers<void>();
    const { jobs, finished } = setup(() => gate.promise);
    const first = jobs.runNow("validation");
    await expect(jobs.runNow("validation")).rejects.toMatchObject({ code: "ORCHESTRATOR_JOB_IN_PROGRESS" });
    gate.resolve();
    await first;
    expect(finished.map((event) => event.outcome)).toEqual(["skipped", "ok"]);
  });

  test("reports a failed job in its health and lets the next run mend it", async () => {
    let fail = true;
    const { jobs } = setup(async () => {
      if (fail) throw new Error("no such table");
    });
    await expect(jobs.runNow("validation")).rejects.toThrow("no such table");
    expect((await jobs.health()).status).toBe("warn");
    fail = false;
    await jobs.runNow("validation");
    expect((await jobs.health()).status).toBe("pass");
  });

  test("tells a running job to stop", async () => {
    const { jobs, finished } = setup(
      (signal) =>
        new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("stopped")))),
    );
    const running = jobs.runNow("validation");
    await Promise.all([jobs.stop(), expect(running).rejects.toThrow("stopped")]);
    expect(finished.map((event) => event.outcome)).toEqual(["failed"]);
  });
});
