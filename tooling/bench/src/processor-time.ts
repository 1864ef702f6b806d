import { readdir, readFile } from "node:fs/promises";
import { childrenOf } from "@db/embedded";

/**
 * Processor time a process has had, of all its threads, milliseconds. Precise to the nanosecond, where
 * `/proc/<pid>/stat` counts hundredths of a second.
 *
 * @see https://docs.kernel.org/scheduler/sched-stats.html
 */
export async function processorMs(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const times = await Promise.all(
    threads.map(async (thread) => {
      const text = await readFile(`/proc/${pid}/task/${thread}/schedstat`, "utf8").catch(() => "0");
      return Number(text.split(" ")[0]) / 1e6;
    }),
  );
  return times.reduce((sum, each) => sum + each, 0);
}

const ticksPerSecond = 100;

/** The same for a postmaster and all its children, those that ended included. */
export async function serverProcessorMs(postmaster: number): Promise<number> {
  const stat = await readFile(`/proc/${postmaster}/stat`, "utf8").catch(() => "");
  // After the name in parentheses: cutime and cstime are the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ended = ((Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) * 1_000) / ticksPerSecond;
  const times = await Promise.all([postmaster, ...(await childrenOf(postmaster))].map(processorMs));
  return times.reduce((sum, each) => sum + each, ended);
}

/** The most memory a process ever had, bytes. */
export async function peakMemoryBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}
