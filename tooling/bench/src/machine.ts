import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from "node:os";

/** Where the figures were measured. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
  /** Server that was measured; empty text without one. */
  readonly postgres: string;
  /** Load of the last minute when the benchmark began: above the number of cores, others were at work too. */
  readonly loadAverage: number;
}

export function describeMachine(): Omit<Machine, "postgres"> {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.versions.node,
    loadAverage: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}
