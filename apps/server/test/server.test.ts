import { type IncomingMessage, request } from "node:http";
import { createServer } from "node:net";
import { gunzipSync } from "node:zlib";
import type { AggregateHealth } from "@db/server";
import { afterEach, describe, expect, test } from "vitest";
import { closeAll, serve, token, well, written } from "./serve.ts";

afterEach(closeAll);

describe("health endpoints", () => {
  test("answer 200 while the database is well and 503 while it fails", async () => {
    let health: AggregateHealth = well;
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
      checks: { "primary:reachable": [{ componentType: "datastore", observedValue: 1.2 }] },
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
    const { server, get } = await serve({}, { drainMs: 3_000 });
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
      new Promise<never>((_resolve, reject) =>
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

  test.each(["", "queries", "queries/7?range=6h", "load", "locks", "quality?range=15min"])(
    "has a page at /%s",
    async (path) => {
      const { get } = await serve();
      const answer = await get(`/${path}`);
      expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    },
  );

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

describe("lists", () => {
  test("are read page by page, each row once", async () => {
    const { get } = await serve();
    const seen: number[] = [];
    for (let next: string | null = ""; next !== null;) {
      const answer = await get(`/api/tables?limit=100${next === "" ? "" : `&cursor=${next}`}`);
      const body = (await answer.json()) as { rows: { n: number }[]; next: string | null; total: number };
      expect(body.total).toBe(250);
      seen.push(...body.rows.map(({ n }) => n));
      next = body.next;
    }
    expect(seen).toEqual(Array.from({ length: 250 }, (_, n) => n));
  });

  test.each([
    ["/api/tables?limit=1001", "querystring.limit must be <= 1000"],
    ["/api/tables?limit=zero", "querystring.limit must be integer"],
    ["/api/tables?cursor=bm9wZQ", "the cursor is not one that this server gave"],
    ["/api/series?name=commits&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from must be before to"],
    ["/api/series?name=commits&step=0", "querystring.step must be >= 1"],
    ["/api/queries/drop/plan", "params.id must match pattern"],
    ["/api/status?page=nowhere", "querystring.page must be equal to one of the allowed values"],
  ])("%s is refused in so many words", async (path, detail) => {
    const { get } = await serve();
    const answer = await get(path);
    expect(answer.headers.get("content-type")).toContain("application/problem+json");
    expect(await answer.json()).toMatchObject({ status: 400, detail: expect.stringContaining(detail) as string });
  });

  test("series have names, a plan is given for what is recorded, and nothing else is", async () => {
    const { get } = await serve();
    expect(await (await get("/api/series")).json()).toEqual({ names: ["commits"] });
    expect((await get("/api/series?name=commits&step=60")).status).toBe(200);
    expect((await get("/api/series?name=other")).status).toBe(404);
    expect((await get("/api/queries/7/plan")).status).toBe(200);
    expect((await get("/api/queries/8/plan")).status).toBe(404);
  });
});

describe("metrics too large for one buffer", () => {
  test("arrive whole, piece after piece", async () => {
    const pieces = Array.from({ length: 50 }, (_, n) => `pg_piece_${n} ${"1".repeat(20_000)}\n`);
    const { get } = await serve({ metricsText: async () => written(...pieces) });
    expect(await (await get("/metrics", { "accept-encoding": "identity" })).text()).toBe(pieces.join(""));
  });

  test("that break off end the answer instead of looking whole", async () => {
    const { get } = await serve({
      metricsText: async () => async (sink) => {
        sink.write("pg_up 1\n");
        throw new Error("broke off at postgres://u:pw@h/d");
      },
    });
    await expect(get("/metrics").then((response) => response.text())).rejects.toThrow();
  });
});

describe("metrics for whoever wants less", () => {
  test("are compressed, and only of the collectors that are named", async () => {
    let asked: readonly string[] | undefined;
    const { server, get } = await serve({
      metricsText: async (_format, _signal, collectors) => {
        asked = collectors;
        return written("pg_up 1\n".repeat(100), "pg_down 1\n");
      },
    });
    await get("/metrics?collect[]=activity&collect[]=locks");
    expect(asked).toEqual(["activity", "locks"]);
    const response = await new Promise<IncomingMessage>((resolve) => {
      request(`${server.url}/metrics`, { headers: { "accept-encoding": "gzip" } }, resolve).end();
    });
    const packed = Buffer.concat((await response.toArray()) as Buffer[]);
    expect(gunzipSync(packed).toString()).toBe(`${"pg_up 1\n".repeat(100)}pg_down 1\n`);
  });
});

describe("server", () => {
  test.each(["POST", "PUT", "PATCH", "DELETE"])(
    "has no route for %s that changes anything by itself",
    async (method) => {
      const { get } = await serve();
      for (const path of ["/", "/api/status", "/metrics", "/api/admin/backups", "/api/admin/sessions/1/terminate"]) {
        expect((await get(path, {}, method)).status).toBe(405);
      }
    },
  );

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
      { page: () => Promise.reject(new Error("connect postgres://u:hunter2@10.0.0.1/d")) },
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
