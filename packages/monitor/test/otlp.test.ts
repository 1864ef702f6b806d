import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { isDbError } from "@db/core";
import { createOtlpExporter, type OtlpMetrics, type Snapshot, toOtlp } from "@db/monitor";
import { afterEach, describe, expect, test, vi } from "vitest";
import { snapshotOf } from "./snapshot-of.ts";

const snapshot: Snapshot = {
  ...snapshotOf({
    primary: {
      pg_up: 1,
      pg_stat_wal_bytes_total: 5,
      pg_stat_database_xact_commit: [[{ datid: "1", datname: "app" }, 7]],
    },
    "replica-1": { pg_up: 0 },
  }),
  families: [
    {
      name: "wait_seconds",
      help: "Waits",
      type: "histogram",
      samples: [
        {
          labels: { pool: "p" },
          buckets: [
            { le: 0.5, count: 1 },
            { le: 1, count: 4 },
          ],
          sum: 3,
          count: 6,
        },
      ],
    },
  ],
};

describe("a snapshot as OTLP", () => {
  const { resourceMetrics } = toOtlp(snapshot, { "deployment.environment.name": "test" });
  const metricsOf = (i: number) => resourceMetrics[i]!.scopeMetrics[0]!.metrics;

  test("is a resource for each server and one for the process", () => {
    expect(
      resourceMetrics.map(({ resource }) => resource.attributes.map(({ key, value }) => `${key}=${value.stringValue}`)),
    ).toEqual([
      expect.arrayContaining(["deployment.environment.name=test", "service.instance.id=primary"]),
      expect.arrayContaining(["service.instance.id=replica-1"]),
      expect.not.arrayContaining(["service.instance.id=primary"]),
    ]);
  });

  test("has gauges, and counters as monotonic cumulative sums, with their unit and time", () => {
    expect(metricsOf(0).find(({ name }) => name === "pg_up")?.gauge?.dataPoints).toEqual([
      { attributes: [], timeUnixNano: "1767225600000000000", asDouble: 1 },
    ]);
    expect(metricsOf(0).find(({ name }) => name === "pg_stat_wal_bytes_total")).toMatchObject({
      unit: "By",
      description: "Bytes of WAL written",
      sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints: [{ asDouble: 5 }] },
    });
    expect(
      metricsOf(0).find(({ name }) => name === "pg_stat_database_xact_commit")?.sum?.dataPoints[0]?.attributes,
    ).toEqual([
      { key: "datid", value: { stringValue: "1" } },
      { key: "datname", value: { stringValue: "app" } },
    ]);
  });

  test("has histograms whose buckets count for themselves", () => {
    expect(metricsOf(2)[0]?.histogram?.dataPoints).toMatchObject([
      { count: "6", sum: 3, explicitBounds: [0.5, 1], bucketCounts: ["1", "3", "2"] },
    ]);
  });
});

describe("pushing", () => {
  let server: Server | undefined;
  const received: { readonly request: IncomingMessage; readonly body: OtlpMetrics }[] = [];

  /** A receiver on this machine that answers so. */
  async function receiver(status: number, answer = "{}"): Promise<string> {
    server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        received.push({ request, body: JSON.parse(Buffer.concat(parts).toString()) as OtlpMetrics });
        response.writeHead(status, { "content-type": "application/json" }).end(answer);
      });
    });
    await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Connections that fetch keeps for later would hold the receiver open. */
  async function close(): Promise<void> {
    const closing = server;
    if (!closing) return;
    const closed = new Promise((resolve) => closing.close(resolve));
    closing.closeAllConnections();
    await closed;
  }

  afterEach(async () => {
    received.length = 0;
    await close();
    server = undefined;
  });

  const source = { snapshot: () => snapshot };

  test("sends what the snapshot holds, with the headers asked for", async () => {
    const url = await receiver(200);
    const exporter = createOtlpExporter({ source, url, headers: { "x-api-key": "secret" } });
    expect(await exporter.push()).toEqual({ rejected: 0 });
    expect(received[0]?.request.url).toBe("/v1/metrics");
    expect(received[0]?.request.headers).toMatchObject({ "x-api-key": "secret", "content-type": "application/json" });
    expect(received[0]?.body).toEqual(JSON.parse(JSON.stringify(toOtlp(snapshot))));
    expect(exporter.health()).toMatchObject({ status: "pass" });
  });

  test("tells how many points the receiver refused", async () => {
    const url = await receiver(200, '{"partialSuccess":{"rejectedDataPoints":"3"}}');
    expect(await createOtlpExporter({ source, url: `${url}/v1/metrics` }).push()).toEqual({ rejected: 3 });
  });

  test.each([
    [503, true],
    [401, false],
  ])("fails when the receiver answers %i, and says whether to try again", async (status, retryable) => {
    const exporter = createOtlpExporter({ source, url: await receiver(status), headers: { "x-api-key": "secret" } });
    const failure = await exporter.push().catch((error: unknown) => error);
    expect(isDbError(failure, "MONITOR_OTLP_PUSH")).toBe(true);
    expect(failure).toMatchObject({ status, retryable, message: `metrics were not pushed: it answered ${status}` });
    expect(JSON.stringify(exporter.health())).not.toContain("secret");
    expect(exporter.health()).toMatchObject({ status: "warn" });
  });

  test("goes on when nobody listens, and comes back when somebody does", async () => {
    const url = await receiver(200);
    await close();
    await using exporter = createOtlpExporter({ source, url, intervalMs: 5 });
    await exporter.start();
    await vi.waitFor(() => expect(exporter.health()).toMatchObject({ status: "warn" }));
    await new Promise<void>((resolve) => server!.listen(Number(new URL(url).port), "127.0.0.1", resolve));
    await vi.waitFor(() => expect(received.length).toBeGreaterThan(1));
    await vi.waitFor(() => expect(exporter.health()).toMatchObject({ status: "pass" }));
    await exporter.stop();
  }, 20_000);
});
