import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createMonitor,
  defaultRules,
  type Monitor,
  openMetricsContentType,
  renderOpenMetrics,
  renderPrometheusRules,
} from "@db/monitor";
import { startCluster, type TestCluster } from "@db/testkit";
import { type Client, Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

const found = spawnSync("prometheus", ["--version"]).status === 0;
if (!found) console.warn("skipped: prometheus is not installed (Debian: apt-get install prometheus)");

interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: string;
}

describe.runIf(found)("a Prometheus server that scrapes the monitor", () => {
  let cluster: TestCluster<0>;
  let client: Client;
  let own: Pool;
  let monitor: Monitor;
  let exporter: Server;
  let prometheus: ChildProcess;
  let folder: string;
  let api: string;

  beforeAll(async () => {
    cluster = await startCluster({ settings: { shared_preload_libraries: "pg_stat_statements" } });
    client = await cluster.connect();
    await client.query("create extension pg_stat_statements");
    own = new Pool({ connectionString: cluster.primary.url, max: 1, application_name: "db-monitor" });
    monitor = createMonitor({ db: own, tierMs: { T1: 1, T2: 1 }, intervalMs: 1 });
    exporter = createServer((_request, response) => {
      monitor.collect().then(
        (snapshot) =>
          response.writeHead(200, { "content-type": openMetricsContentType }).end(renderOpenMetrics(snapshot)),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    });
    await new Promise<void>((resolve) => exporter.listen(0, "127.0.0.1", resolve));
    folder = await mkdtemp(join(tmpdir(), "prometheus-"));
    await writeFile(join(folder, "rules.yml"), renderPrometheusRules());
    await writeFile(
      join(folder, "prometheus.json"),
      JSON.stringify({
        global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
        rule_files: [join(folder, "rules.yml")],
        scrape_configs: [
          {
            job_name: "db",
            static_configs: [{ targets: [`127.0.0.1:${(exporter.address() as AddressInfo).port}`] }],
          },
        ],
      }),
    );
    const port = await freePort();
    api = `http://127.0.0.1:${port}/api/v1`;
    prometheus = spawn(
      "prometheus",
      [
        `--config.file=${join(folder, "prometheus.json")}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
        "--log.level=error",
      ],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
  });

  afterAll(async () => {
    if (prometheus?.exitCode === null) {
      const ended = once(prometheus, "exit");
      prometheus.kill();
      await ended;
    }
    exporter?.closeAllConnections();
    exporter?.close();
    await Promise.allSettled([monitor?.stop(), client?.end(), own?.end()]);
    await cluster?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const settled = { timeout: 60_000, interval: 250 };
  const ask = async <T>(path: string): Promise<T> =>
    ((await (await fetch(`${api}/${path}`)).json()) as { readonly data: T }).data;
  const value = async (query: string): Promise<number | undefined> => {
    const { result } = await ask<{ readonly result: readonly { readonly value: readonly [number, string] }[] }>(
      `query?query=${encodeURIComponent(query)}`,
    );
    return result[0] && Number(result[0].value[1]);
  };
  const alerts = async (): Promise<readonly string[]> => {
    const { alerts: all } = await ask<{ readonly alerts: readonly Alert[] }>("alerts");
    return all
      .filter(({ state }) => state === "firing")
      .map(({ labels }) => `${labels["alertname"]} ${labels["severity"]}`);
  };

  test("reads every sample, and evaluates every rule without an error", async () => {
    await vi.waitFor(async () => expect(await value("pg_up")).toBe(1), settled);
    await vi.waitFor(async () => {
      const { groups } = await ask<{
        readonly groups: readonly { readonly rules: readonly { readonly name: string; readonly health: string }[] }[];
      }>("rules");
      const rules = groups.flatMap((group) => group.rules);
      expect(rules).toHaveLength(defaultRules.flatMap(({ levels }) => levels).length);
      expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);
    }, settled);
    const { activeTargets } = await ask<{ readonly activeTargets: readonly { readonly lastError: string }[] }>(
      "targets",
    );
    expect(activeTargets.map(({ lastError }) => lastError)).toEqual([""]);
    expect(await value('count({job="db"})')).toBeGreaterThan(300);
  });

  test("fires the exported rule while a sequence is at its end, and no longer once it is not", async () => {
    expect(await alerts()).not.toContain("PgSequenceNearlyFull page");
    await client.query("create sequence short as int maxvalue 100");
    await client.query("select setval('short', 95)");
    await vi.waitFor(async () => expect(await alerts()).toContain("PgSequenceNearlyFull page"), settled);
    expect(monitor.alerts().map(({ rule, severity }) => `${rule} ${severity}`)).toContain("PgSequenceNearlyFull page");
    await client.query("drop sequence short");
    await vi.waitFor(async () => expect(await alerts()).not.toContain("PgSequenceNearlyFull page"), settled);
  });
});

async function freePort(): Promise<number> {
  const socket = createSocket();
  await new Promise<void>((resolve) => socket.listen(0, "127.0.0.1", resolve));
  const { port } = socket.address() as AddressInfo;
  await new Promise((resolve) => socket.close(resolve));
  return port;
}
