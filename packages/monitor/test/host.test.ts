import { createLocalHost, createMonitor, samplesOf } from "@db/monitor";
import { expect, test } from "vitest";
import { mountpointOf, parseMeminfo, parseStat } from "../src/host.ts";

test("reads processor time in seconds and counts processors", () => {
  const stat = "cpu  100 0 50 800 25 0 5 0 0 0\ncpu0 50 0 25 400 12 0 2 0 0 0\ncpu1 50 0 25 400 13 0 3 0 0 0\nintr 1\n";
  expect(parseStat(stat)).toMatchObject({ cpus: 2, cpuSeconds: { user: 1, system: 0.5, idle: 8, iowait: 0.25 } });
});

test("reads memory in bytes, and leaves out what is not said", () => {
  expect(parseMeminfo("MemTotal:  1024 kB\nMemFree: 1 kB\n")).toEqual({ memoryTotalBytes: 1_048_576 });
});

test("knows the disk under a directory and says nothing of one that is not there", async () => {
  const host = await createLocalHost({ directories: [".", "/nowhere/at/all"] }).hostStats();
  expect(host?.filesystems).toHaveLength(1);
  expect(host?.filesystems[0]?.sizeBytes).toBeGreaterThan(0);
  expect(process.cwd().startsWith(host!.filesystems[0]!.mountpoint)).toBe(true);
});

test("names the file system that a directory lies on, not one that begins alike", () => {
  const mounts = "a / x rw\nb /var/lib/postgresql y rw\nc /var/lib/post y rw\nd /with\\040blank y rw\n";
  expect(
    ["/var/lib/postgresql/18/main", "/var/lib/postgres", "/with blank/data", "/var/lib/post"].map((each) =>
      mountpointOf(each, mounts),
    ),
  ).toEqual(["/var/lib/postgresql", "/", "/with blank", "/var/lib/post"]);
});

const away = { query: () => Promise.reject(new Error("away")), totalCount: 0, connect: () => Promise.reject() };

test("the disk rule fires on a disk that is nearly full, whatever the server does", async () => {
  const monitor = createMonitor({
    db: away,
    host: { hostStats: async () => ({ filesystems: [{ mountpoint: "/data", sizeBytes: 100, availableBytes: 4 }] }) },
    overrides: [{ rule: "PgDiskFilling", forMs: 0 }],
  });
  await monitor.collect();
  expect(monitor.alerts().find(({ rule }) => rule === "PgDiskFilling")).toMatchObject({
    state: "firing",
    severity: "page",
    title: "the disk under /data is nearly full",
    value: 0.96,
  });
});

test("the pool rule fires when callers wait and nothing is free, on metrics from anywhere", async () => {
  const server = { name: "primary", role: "primary", idle: 0, checkedOut: 10, waiting: 3, acquireTimeouts: 1 };
  const labels = { server: "primary", role: "primary" };
  const monitor = createMonitor({
    db: away,
    pool: { stats: () => ({ max: 10, servers: [server] }) },
    metrics: () => [
      { name: "db_client_connection_max", help: "", type: "gauge", samples: [{ labels, value: 10 }] },
      { name: "migrations_pending", help: "", type: "gauge", samples: [{ labels: {}, value: 2 }] },
    ],
    overrides: [{ rule: "PoolExhausted", forMs: 0 }],
  });
  const snapshot = await monitor.collect();
  expect(monitor.alerts().find(({ rule }) => rule === "PoolExhausted")).toMatchObject({ state: "firing", value: 3 });
  expect(samplesOf(snapshot, "db_client_connection_max")).toHaveLength(1);
  expect(samplesOf(snapshot, "migrations_pending")[0]?.value).toBe(2);
});
