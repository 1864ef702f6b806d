import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { leaks, send, strangeRequests } from "./fuzz.ts";
import { type LoadedPlatform, scopedTokens, startLoadedPlatform, tokens } from "./loaded-platform.ts";

let platform: LoadedPlatform;

beforeAll(async () => {
  platform = await startLoadedPlatform({
    tokens: scopedTokens,
    adminActions: ["sessions", "statements", "backups", "drills", "restores", "migrations", "indexes", "alerts"],
    actionsPerMinute: 1e6,
    signInsPerMinute: 1e6,
  });
});
afterAll(async () => {
  await platform?.[Symbol.asyncDispose]();
});

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const get = async (path: string, token: string = tokens.read): Promise<Record<string, never>> =>
  (await (await fetch(platform.server.url + path, { headers: bearer(token) })).json()) as Record<string, never>;
const post = (path: string, body: object, token: string = tokens.admin): Promise<Response> =>
  fetch(platform.server.url + path, {
    method: "POST",
    headers: { ...bearer(token), "content-type": "application/json" },
    body: JSON.stringify(body),
  });

interface Rows {
  readonly rows: readonly Record<string, unknown>[];
}

async function act(
  path: string,
  args: object = {},
): Promise<{ plan: { sql: string[] }; job: { state: string; result: unknown } }> {
  const planned = await post(`${path}/plan`, args);
  expect(planned.status, await planned.clone().text()).toBe(200);
  const { token, plan } = (await planned.json()) as { token: string; plan: { sql: string[] } };
  const done = await post(path, { token });
  expect(done.status, await done.clone().text()).toBe(202);
  let job = (await done.json()) as { id: string; state: string; result: unknown };
  await vi.waitFor(
    async () => {
      job = (await get(`/api/jobs/${job.id}`, tokens.operate)) as unknown as typeof job;
      expect(job.state).not.toBe("running");
    },
    { timeout: 60_000, interval: 100 },
  );
  return { plan, job };
}

describe("lists of a real platform", () => {
  test("tell what is there, without a literal", async () => {
    const release = await platform.block();
    await vi.waitFor(
      async () => expect(((await get("/api/blocking")) as unknown as Rows).rows.length).toBeGreaterThan(3),
      {
        timeout: 20_000,
      },
    );
    const text = JSON.stringify(await get("/api/blocking"));
    expect(text).toContain("nightly-import");
    expect(text).not.toContain("a secret");
    await release();
    expect(((await get("/api/tables")) as unknown as Rows).rows.map(({ table }) => table)).toContain("public.orders");
    expect(((await get("/api/migrations")) as unknown as Rows).rows).toHaveLength(3);
    expect(((await get("/api/backups")) as unknown as Rows).rows).toHaveLength(1);
    expect(((await get("/api/replication")) as unknown as Rows).rows[0]).toMatchObject({ state: "streaming" });
    const series = (await get("/api/series?name=connections")) as unknown as { series: unknown[]; markers: unknown[] };
    expect(series.series.length).toBeGreaterThan(0);
    expect(series.markers).toHaveLength(2);
  });

  test("give the plan of a recorded statement", async () => {
    let id: unknown;
    await vi.waitFor(
      async () => {
        const { rows } = (await get("/api/queries?limit=1000")) as unknown as Rows;
        id = rows.find(({ text }) => String(text).includes("group by status"))?.["queryId"];
        expect(id).toBeDefined();
      },
      { timeout: 30_000, interval: 200 },
    );
    const plan = (await get(`/api/queries/${String(id)}/plan`)) as unknown as { nodes: { node: string }[] };
    expect(plan.nodes.map(({ node }) => node)).toContain("Seq Scan");
  });
});

describe("actions on a real platform", () => {
  test("terminate a session, take a backup and apply migrations: each once, each with one line in the audit trail", async () => {
    const before = (await platform.orchestrator.audit.entries()).length;
    const client = await platform.cluster.connect();
    client.on("error", () => undefined);
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
    const ended = new Promise((resolve) => client.once("end", resolve));
    const { pid } = rows[0]!;
    let session: Record<string, unknown> | undefined;
    await vi.waitFor(
      async () => {
        session = ((await get("/api/sessions?limit=1000")) as unknown as Rows).rows.find((row) => row["pid"] === pid);
        expect(session).toBeDefined();
      },
      { timeout: 20_000 },
    );
    const terminated = await act(`/api/admin/sessions/${pid}/terminate`, { backendStart: session!["backendStart"] });
    expect(terminated.plan.sql).toEqual([`select pg_terminate_backend(${pid})`]);
    expect(terminated.job).toMatchObject({ state: "done", result: { signalled: true } });
    await ended;
    expect((await act("/api/admin/backups")).job.state).toBe("done");
    const migrated = await act("/api/admin/migrations");
    expect(migrated.plan.sql.join()).toContain("add column carrier");
    expect(migrated.job.state).toBe("done");
    expect((await post("/api/admin/migrations/plan", {})).status).toBe(404);
    const lines = (await platform.orchestrator.audit.entries()).slice(before);
    // The backup before a migration is an operation of its own, by the same hand.
    expect(lines.map(({ operation }) => operation)).toEqual([
      "session.terminate",
      "backup.create",
      "backup.create",
      "migration.apply",
    ]);
    for (const { actor, details } of lines) {
      expect(actor).toMatch(/^token:[0-9a-f]{8}$/);
      expect(details["plan"]).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  test("restore a backup into a new folder of the configured one, and refuse one that holds something", async () => {
    const before = (await platform.orchestrator.audit.entries()).length;
    for (const folder of ["../outside", "/tmp", "UP", ""])
      expect((await post("/api/admin/restores/plan", { folder })).status, folder).toBe(400);
    expect((await post("/api/admin/restores/plan", { folder: "copy" }, tokens.operate)).status).toBe(403);
    const early = await post("/api/admin/restores/plan", { folder: "copy", target: "2001-01-01T00:00:00Z" });
    expect(early.status).toBe(409);
    expect(await early.text()).not.toMatch(leaks);
    const { plan, job } = await act("/api/admin/restores", { folder: "copy", target: "immediate" });
    expect(plan).toMatchObject({
      sql: [],
      title: expect.stringMatching(/^Restore \S+ into the folder copy$/) as string,
    });
    expect(JSON.stringify(plan)).not.toMatch(leaks);
    expect(job).toMatchObject({ state: "done", result: { folder: "copy", bytes: expect.any(Number) as number } });
    const { restoreDirectory } = platform;
    expect(await readdir(join(restoreDirectory, "copy"))).toContain("recovery.signal");
    expect(await readFile(join(restoreDirectory, "copy", "PG_VERSION"), "utf8")).toMatch(/^\d+\n$/);
    const again = await post("/api/admin/restores/plan", { folder: "copy", target: "immediate" });
    expect(again.status, await again.clone().text()).toBe(409);
    expect(await again.json()).toMatchObject({ code: "SERVER_ACTION_REFUSED" });
    const [line, ...more] = (await platform.orchestrator.audit.entries()).slice(before);
    expect(more).toEqual([]);
    expect(line).toMatchObject({ operation: "backup.restore", actor: expect.stringMatching(/^token:/) as string });
  });

  test("silence an alert and tell of it again, with a line each in the audit trail", async () => {
    const alerts = async () => ((await get("/api/alerts")) as unknown as Rows).rows;
    const restarted = async () => (await alerts()).find((row) => row["rule"] === "PgRestarted");
    await vi.waitFor(async () => expect(await restarted()).toBeDefined(), { timeout: 20_000 });
    const before = (await platform.orchestrator.audit.entries()).length;
    const path = `/api/admin/alerts/${String((await restarted())!["id"])}/silence`;
    expect((await post(`${path}/plan`, { reason: " ", minutes: 0 })).status).toBe(400);
    expect((await act(path, { reason: "we know", minutes: 60 })).job.state).toBe("done");
    // A list is at most a second old.
    const silenced = async () => (await restarted())!["silence"] as { id: string; reason: string } | undefined;
    await vi.waitFor(async () => expect(await silenced()).toBeDefined(), { timeout: 20_000 });
    const silence = (await silenced())!;
    expect(silence).toMatchObject({ reason: "we know", by: expect.stringMatching(/^token:[0-9a-f]{8}$/) });
    expect((await post(`${path}/plan`, { reason: "again", minutes: 60 })).status).toBe(409);
    expect(platform.orchestrator.monitor.findings().find(({ id }) => id === "PG-RESTARTED")).toMatchObject({
      severity: "info",
      title: expect.stringMatching(/^Silenced: /),
      hint: expect.stringContaining(": we know. "),
    });
    expect((await act(`/api/admin/silences/${silence.id}/end`)).job.result).toEqual({ ended: true });
    await vi.waitFor(async () => expect(await silenced()).toBeUndefined(), { timeout: 20_000 });
    expect((await post(`/api/admin/silences/${silence.id}/end/plan`, {})).status).toBe(404);
    const lines = (await platform.orchestrator.audit.entries()).slice(before);
    expect(lines.map(({ operation, details }) => [operation, details["reason"] ?? null])).toEqual([
      ["alert.silence", "we know"],
      ["alert.unsilence", null],
    ]);
  });

  test("refuse a session that is another by now, and one that is not there", async () => {
    const { rows } = (await get("/api/sessions")) as unknown as Rows;
    const pid = Number(rows[0]!["pid"]);
    const other = { backendStart: "2020-01-01T00:00:00.000001Z" };
    expect((await post(`/api/admin/sessions/${pid}/cancel/plan`, other)).status).toBe(409);
    expect((await post("/api/admin/sessions/2147483647/cancel/plan", other)).status).toBe(404);
  });
});

describe("metrics", () => {
  test("give the last collection to whoever cannot wait for a new one", async () => {
    // A half second is left for the way back: this scraper waits for a millisecond.
    const headers = { ...bearer(tokens.metrics), "x-prometheus-scrape-timeout-seconds": "0.501" };
    // Over some collections, so that some requests come while one is under way.
    const until = Date.parse(platform.orchestrator.monitor.snapshot().asOf) + 4_000;
    while (Date.parse(platform.orchestrator.monitor.snapshot().asOf) < until) {
      const answer = await fetch(`${platform.server.url}/metrics`, { headers });
      const text = await answer.text();
      expect([answer.status, text.includes("pg_scrape_collector_age_seconds")], text.slice(0, 200)).toEqual([
        200,
        true,
      ]);
    }
  });
});

describe("strange requests", () => {
  test("get no 5xx and no secret", async () => {
    for (const each of strangeRequests(7, 600)) {
      const { line, status, body } = await send(platform.server.port, each);
      expect(status, line).toBeLessThan(500);
      expect(body, line).not.toMatch(leaks);
    }
  });
});

describe("health while the database fails", () => {
  test("says so at once, stays alive, and tells a stranger no more than before", async () => {
    const health = () => fetch(`${platform.server.url}/api/health/database`);
    expect((await health()).status).toBe(200);
    await platform.cluster.primary.stop("immediate");
    await vi.waitFor(async () => expect((await health()).status).toBe(503), { timeout: 30_000 });
    expect(Object.keys((await (await health()).json()) as object).toSorted()).toEqual(["status", "time"]);
    expect((await fetch(`${platform.server.url}/livez`)).status).toBe(200);
    expect((await fetch(`${platform.server.url}/readyz`)).status).toBe(503);
    const metrics = () => fetch(`${platform.server.url}/metrics`, { headers: bearer(tokens.metrics) });
    await vi.waitFor(
      async () => {
        const answer = await metrics();
        expect([answer.status, await answer.text()]).toEqual([
          200,
          expect.stringMatching(/^pg_up\{[^}]*primary[^}]*\} 0$/m),
        ]);
      },
      { timeout: 30_000, interval: 300 },
    );
    await platform.cluster.primary.start();
    await vi.waitFor(async () => expect((await health()).status).toBe(200), { timeout: 30_000 });
  });
});
