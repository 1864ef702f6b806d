import { readFile, realpath, statfs } from "node:fs/promises";
import { counter, defineMetrics, gauge } from "./collector.ts";
import type { MetricDefinition } from "./metric.ts";
import type { MetricTable } from "./snapshot.ts";

/** The machine at one moment. Parts are absent where the machine does not say. */
export interface HostStats {
  /** Seconds since the machine started, summed over its processors, by kind of work. */
  readonly cpuSeconds?: Readonly<Record<string, number>>;
  readonly cpus?: number;
  readonly load1?: number;
  readonly memoryTotalBytes?: number;
  readonly memoryAvailableBytes?: number;
  readonly filesystems: readonly HostFilesystem[];
}

export interface HostFilesystem {
  /** Where the file system is mounted: the directory asked about lies below. */
  readonly mountpoint: string;
  readonly sizeBytes: number;
  /** Free for ordinary users. */
  readonly availableBytes: number;
}

/** Where numbers about the machine come from. */
export interface HostStatsSource {
  /** Must not throw: what cannot be read is left out. */
  hostStats(): Promise<HostStats | undefined>;
}

/** Knows nothing of the machine: the default, since the server may be elsewhere. */
export const noHost: HostStatsSource = Object.freeze({ hostStats: async () => undefined });

const name = "host";
const common = { name, tier: "T0" } as const;

const machine = [
  gauge("node_load1", "", "Load average over one minute"),
  gauge("node_memory_MemTotal_bytes", "", "Memory of the machine"),
  gauge("node_memory_MemAvailable_bytes", "", "Memory programs could have without swapping"),
] as const;
const cpu = [counter("node_cpu_seconds_total", "", "Seconds the processors spent, by kind of work")] as const;
const filesystem = [
  gauge("node_filesystem_size_bytes", "", "Size of the file system"),
  gauge("node_filesystem_avail_bytes", "", "Space left for ordinary users"),
] as const;

/** Host metrics, named as node_exporter names them. */
export const hostMetrics: readonly MetricDefinition[] = [
  ...defineMetrics(machine, common, []),
  ...defineMetrics(cpu, common, ["mode"]),
  ...defineMetrics(filesystem, common, ["mountpoint"]),
];

/** The same numbers as metric rows. */
export function hostTables(host: HostStats | undefined): readonly MetricTable[] {
  if (!host) return [];
  return [
    {
      labelNames: [],
      metrics: machine.map((metric) => metric.name),
      rows: [
        {
          labels: [],
          values: [host.load1 ?? null, host.memoryTotalBytes ?? null, host.memoryAvailableBytes ?? null],
        },
      ],
    },
    {
      labelNames: ["mode"],
      metrics: cpu.map((metric) => metric.name),
      rows: Object.entries(host.cpuSeconds ?? {}).map(([mode, seconds]) => ({ labels: [mode], values: [seconds] })),
    },
    {
      labelNames: ["mountpoint"],
      metrics: filesystem.map((metric) => metric.name),
      rows: host.filesystems.map((fs) => ({ labels: [fs.mountpoint], values: [fs.sizeBytes, fs.availableBytes] })),
    },
  ];
}

/**
 * Reads this machine from `/proc` (Linux) and the file systems of `directories` (anywhere). Only for a server on the
 * same machine; in a container the numbers are the container's where the kernel says so.
 */
export function createLocalHost({
  directories,
}: {
  /** Each file system is told once. A function is asked every time: a server says only later where its data is. */
  readonly directories: readonly string[] | (() => readonly string[]);
}): HostStatsSource {
  return {
    async hostStats() {
      const asked = typeof directories === "function" ? directories() : directories;
      const [stat, meminfo, loadavg, mounts = ""] = await Promise.all(
        ["/proc/stat", "/proc/meminfo", "/proc/loadavg", "/proc/self/mounts"].map(read),
      );
      const found = await Promise.all(asked.map((directory) => readFilesystem(directory, mounts)));
      const filesystems = new Map(found.flatMap((each) => (each ? [[each.mountpoint, each] as const] : [])));
      return {
        ...(stat && parseStat(stat)),
        ...(meminfo && parseMeminfo(meminfo)),
        ...(loadavg && { load1: Number(loadavg.split(" ")[0]) }),
        filesystems: [...filesystems.values()],
      };
    },
  };
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return undefined;
  }
}

async function readFilesystem(directory: string, mounts: string): Promise<HostFilesystem | undefined> {
  try {
    const stats = await statfs(directory);
    return {
      mountpoint: mountpointOf(await realpath(directory).catch(() => directory), mounts),
      sizeBytes: stats.blocks * stats.bsize,
      availableBytes: stats.bavail * stats.bsize,
    };
  } catch {
    return undefined;
  }
}

/** The longest mount point above a directory, of the lines of `/proc/mounts`; the directory where there is none. */
export function mountpointOf(directory: string, mounts: string): string {
  const points = mounts.split("\n").map((line) =>
    // Blanks are written in octal.
    (line.split(" ")[1] ?? "").replaceAll(/\\([0-7]{3})/g, (_all, octal: string) =>
      String.fromCodePoint(Number.parseInt(octal, 8)),
    ),
  );
  return (
    points
      .filter((point) => point !== "" && (point === "/" || directory === point || directory.startsWith(`${point}/`)))
      .toSorted((a, b) => b.length - a.length)[0] ?? directory
  );
}

const cpuModes = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"] as const;
// USER_HZ is 100 on every Linux that runs Node.
const ticksPerSecond = 100;

/** The `cpu` lines of `/proc/stat`. */
export function parseStat(text: string): Pick<HostStats, "cpuSeconds" | "cpus"> {
  const lines = text.split("\n");
  const ticks =
    lines
      .find((line) => line.startsWith("cpu "))
      ?.trim()
      .split(/\s+/)
      .slice(1) ?? [];
  return {
    cpuSeconds: Object.fromEntries(cpuModes.map((mode, i) => [mode, Number(ticks[i] ?? 0) / ticksPerSecond])),
    cpus: lines.filter((line) => /^cpu\d/.test(line)).length,
  };
}

/** The two lines of `/proc/meminfo` that matter, in bytes. */
export function parseMeminfo(text: string): Pick<HostStats, "memoryTotalBytes" | "memoryAvailableBytes"> {
  const kilobytes = (key: string): number | undefined => {
    const match = new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(text);
    return match ? Number(match[1]) * 1024 : undefined;
  };
  const total = kilobytes("MemTotal");
  const available = kilobytes("MemAvailable");
  return {
    ...(total !== undefined && { memoryTotalBytes: total }),
    ...(available !== undefined && { memoryAvailableBytes: available }),
  };
}
