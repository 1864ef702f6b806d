import { request } from "node:http";
import { createServer } from "node:net";
import { type AggregateHealth, startServer, type StatusServer, type StatusSource } from "@db/server";
import { afterEach, describe, expect, test } from "vitest";
import { sampleView } from "@db/dashboard/sample-view";

const time = "2026-11-21T10:14:03.000Z";
const well: AggregateHealth = {
  status: "pass",
  checks: [{ name: "primary:reachable", status: "pass", observedValue: 1.2, observedUnit: "ms", time }],
};
const token = "0123456789abcdef0123456789abcdef";
const servers: StatusServer[] = [];

async function serve(source: Partial<StatusSource> = {}, options: Partial<Parameters<typeof startServer>[0]> = {}) {
  const server = await startServer({
    source: {
      health: async () => well,
      view: async () => sampleView,
      metricsText: async (format) => (format === "openmetrics" ? "pg_up 1\n# EOF\n" : "pg_up 1\n"),
      metricsJson: async (detailed) => ({ detailed }),
      started: () => true,
      ...source,
    },
    updateIntervalMs: 20,
    ...options,
  });
  servers.push(server);
  const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    fetch(server.url + path, { headers, method });
  return { server, get };
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

describe("health endpoints", () => {
  test("answer 200 while the database is well and 503 while it fails", async () => {
    let health = well;
    const { get } = await serve({ health: async () => health });
    expect((await get("/api/health/database")).status).toBe(200);
    health = { status: "fail", checks: [] };
    await expect.poll(async () => (await get("/api/health/database")).status).toBe(503);
    expect((await get("/readyz")).status).toBe(503);
    expect((await get("/livez")).status).toBe(200);
  });

  test("answer application/health+json with every check where details may be read", async () => {
    const { get } = await serve();
    const response = await get("/api/health/database");
    expect(response.headers.get("content-type")).toContain("application/health+json");
    expect(await response.json()).toMatchObject({
      status: "pass",
      checks: { "primary:reachable": [{ observedValue: 1.2 }] },
    });
  });

  test("tell a stranger the status and nothing else", async () => {
    const { get } = await serve({}, { tokens: [token] });
    expect(Object.keys((await (await get("/api/health/database")).json()) as object).toSorted()).toEqual([
      "status",
      "time",
    ]);
    expect((await get("/metrics")).status).toBe(401);
    expect((await get("/")).status).toBe(401);
    expect((await get("/metrics", { authorization: `Bearer ${token}` })).status).toBe(200);
    expect((await get("/metrics", { authorization: `Bearer ${token}x` })).status).toBe(401);
  });

  test("ask the services once for a thousand probes", async () => {
    let asked = 0;
    const { get } = await serve({ health: async () => ((asked += 1), well) });
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => get("/api/health/database")));
    expect(answers.every((answer) => answer.status === 200)).toBe(true);
    expect(asked).toBeLessThan(20);
  });

  test("say not ready, but alive, while draining", async () => {
    const { server, get } = await serve({}, { drainMs: 400 });
    const closed = server.close();
    expect((await get("/readyz?verbose")).status).toBe(503);
    expect((await get("/livez")).status).toBe(200);
    await closed;
    await expect(get("/livez")).rejects.toThrow();
  });
});

describe("metrics endpoints", () => {
  test("give Prometheus text, OpenMetrics when asked, JSON otherwise", async () => {
    const { get } = await serve();
    expect((await get("/metrics")).headers.get("content-type")).toContain("version=0.0.4");
    expect(await (await get("/metrics", { accept: "application/openmetrics-text" })).text()).toContain("# EOF");
    expect(await (await get("/api/health/database/metrics?format=prometheus")).text()).toBe("pg_up 1\n");
    expect(await (await get("/api/health/database/metrics?detailed=true")).json()).toEqual({ detailed: true });
  });

  test("stop waiting for a collection that hangs", async () => {
    const hang = (_format: unknown, signal: AbortSignal) =>
      new Promise<string>((_resolve, reject) =>
        signal.addEventListener("abort", () => reject(new Error("timed out at postgres://u:pw@h/d"))),
      );
    const { get } = await serve({ metricsText: hang }, { collectTimeoutMs: 50 });
    const response = await get("/metrics");
    expect(response.status).toBe(503);
    expect(await response.text()).not.toMatch(/postgres|pw|at /);
  });
});

describe("dashboard", () => {
  test("is served with a strict content policy and files that may be cached for ever", async () => {
    const { get } = await serve();
    const page = await get("/");
    expect(page.headers.get("content-security-policy")).toContain("default-src 'self'");
    const [, script] = /src="(assets\/[^"]+)"/.exec(await page.text())!;
    expect((await get(`/${script}`)).headers.get("cache-control")).toContain("immutable");
  });

  test("is told of every new view, and of the end", async () => {
    const { server, get } = await serve();
    const reader = (await get("/api/events")).body!.pipeThrough(new TextDecoderStream()).getReader();
    let heard = "";
    while (heard.split("event: view").length < 4) heard += (await reader.read()).value ?? "";
    await server.close();
    for (;;) if ((await reader.read()).done) break;
    expect(heard).toContain('"title":"Chanuka"');
  });
});

describe("server", () => {
  test.each(["POST", "PUT", "PATCH", "DELETE"])("has no route for %s anywhere", async (method) => {
    const { get } = await serve();
    for (const path of ["/", "/api/status", "/metrics", "/api/admin/backups", "/api/admin/sessions/1/terminate"]) {
      expect((await get(path, {}, method)).status).toBe(405);
    }
  });

  test("refuses a public address without a token, and a token that could be guessed", async () => {
    await expect(serve({}, { host: "0.0.0.0" })).rejects.toMatchObject({ code: "SERVER_PUBLIC_WITHOUT_TOKEN" });
    await expect(serve({}, { tokens: ["secret"] })).rejects.toMatchObject({ code: "SERVER_WEAK_TOKEN" });
  });

  test("says so when its port is taken", async () => {
    const blocker = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => blocker.once("listening", resolve));
    const { port } = blocker.address() as { port: number };
    await expect(serve({}, { port })).rejects.toMatchObject({
      code: "SERVER_CANNOT_LISTEN",
      message: `port ${port} is taken`,
    });
    blocker.close();
  });

  test("does not answer to a foreign host name", async () => {
    const { server } = await serve();
    const status = await new Promise((resolve) => {
      request(`${server.url}/livez`, { headers: { host: "evil.example" } }, (response) =>
        resolve(response.statusCode),
      ).end();
    });
    expect(status).toBe(421);
  });

  test("answers 500 strange requests without a stack, a path or a 500", async () => {
    const { get } = await serve(
      { view: () => Promise.reject(new Error("connect postgres://u:hunter2@10.0.0.1/d")) },
      { requestsPerMinute: 10_000 },
    );
    let seed = 7;
    const random = (limit: number): number => (seed = (seed * 48_271) % 2_147_483_647) % limit;
    const parts = [
      "/",
      "api",
      "health",
      "database",
      "metrics",
      "..",
      "%2e%2e",
      "%00",
      "'--",
      "assets",
      "?detailed=",
      "true",
      "<script>",
      "%zz",
      "a".repeat(300),
      "?format=prometheus",
      "etc/passwd",
    ];
    for (let index = 0; index < 500; index += 1) {
      const path = `/${Array.from({ length: 1 + random(5) }, () => parts[random(parts.length)]).join("/")}`;
      if (path.includes("events")) continue;
      const response = await get(path);
      const body = await response.text();
      expect([200, 400, 401, 403, 404, 405, 414, 503], path).toContain(response.status);
      expect(body, path).not.toMatch(/hunter2|node_modules|\bat \S+ \(|root:x/);
    }
  });
});
