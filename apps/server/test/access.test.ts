import { createHash } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { parseCredential } from "../src/scope.ts";
import { actionOn, bearer, closeAll, scoped, serve, token, tokens } from "./serve.ts";

afterEach(closeAll);

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly "x-scope"?: string }>>>>;
}

describe("tokens", () => {
  test("may be given as they are or as their hash, with a scope or for reading", async () => {
    const hashed = `operate:sha256:${createHash("sha256").update(tokens.operate).digest("hex")}`;
    const { get } = await serve({}, { tokens: [token, hashed] });
    expect((await get("/api/tables", bearer(token))).status).toBe(200);
    expect((await get("/api/tables", bearer(tokens.operate))).status).toBe(200);
    expect((await get("/api/tables", bearer(tokens.admin))).status).toBe(401);
  });

  test("that could be guessed are refused, with a scope in front too", () => {
    expect(() => parseCredential("admin:secret")).toThrow(expect.objectContaining({ code: "SERVER_WEAK_TOKEN" }));
    expect(() => parseCredential("sha256:12")).toThrow(expect.objectContaining({ code: "SERVER_WEAK_TOKEN" }));
  });
});

describe("scopes", () => {
  test("hold for every route there is: less is refused, and a stranger learns nothing but status", async () => {
    const { get, post } = await serve(
      { actions: [actionOn({ value: 1, done: [] })] },
      { tokens: scoped, adminActions: ["things"], actionsPerMinute: 1_000 },
    );
    const { paths } = (await (await get("/openapi.json", bearer(tokens.read))).json()) as Document;
    const order = ["metrics", "read", "operate", "admin"] as const;
    let guarded = 0;
    for (const [path, operations] of Object.entries(paths)) {
      for (const [method, { "x-scope": scope }] of Object.entries(operations)) {
        if (path === "/api/events") continue;
        // Of the two forms of this one, the scraper's is the one that its scope is for.
        const form = path === "/api/health/database/metrics" ? "?format=prometheus" : "";
        const url = path.replaceAll(/\{\w+\}/g, "7") + form;
        const ask = (headers: Record<string, string>): Promise<Response> =>
          method === "get" ? get(url, headers) : post(url, {}, headers);
        if (scope === undefined) {
          const text = await (await ask({})).text();
          expect(text, path).not.toMatch(/primary|1\.2|shop|Chanuka/);
          continue;
        }
        guarded += 1;
        const stranger = await ask({});
        expect(stranger.status, `${method} ${path}`).toBe(401);
        expect(Object.keys((await stranger.json()) as object).toSorted()).toEqual([
          "detail",
          "status",
          "title",
          "type",
        ]);
        for (const held of order) {
          const enough = order.indexOf(held) >= order.indexOf(scope as (typeof order)[number]);
          const { status } = await ask(bearer(tokens[held]));
          if (enough) expect([401, 403], `${held} ${method} ${path}`).not.toContain(status);
          else expect(status, `${held} ${method} ${path}`).toBe(403);
        }
      }
    }
    expect(guarded).toBeGreaterThan(15);
  });
});

describe("a browser", () => {
  const html = { accept: "text/html" };

  test("gets a form for a page, a cookie for a token, and leaves it behind", async () => {
    const { server, get } = await serve({}, { tokens: scoped });
    const form = await get("/", html);
    expect(form.status).toBe(401);
    expect(await form.text()).not.toMatch(/Chanuka|chanuka|primary/);
    const signIn = (given: string, headers: Record<string, string> = {}) =>
      fetch(`${server.url}/sign-in`, {
        method: "POST",
        redirect: "manual",
        headers,
        body: new URLSearchParams({ token: given }),
      });
    expect((await signIn(`${tokens.read}x`)).status).toBe(401);
    // A scraper's token opens no page.
    expect((await signIn(tokens.metrics)).status).toBe(401);
    const answer = await signIn(tokens.read);
    expect(answer.status).toBe(303);
    const set = answer.headers.get("set-cookie")!;
    expect(set).toMatch(/^db_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+$/);
    const cookie = { cookie: set.split(";")[0]! };
    expect((await get("/", { ...html, ...cookie })).status).toBe(200);
    const out = await fetch(`${server.url}/sign-out`, { method: "POST", redirect: "manual", headers: cookie });
    expect(out.headers.get("set-cookie")).toContain("Max-Age=0");
    expect((await get("/", { ...html, ...cookie })).status).toBe(401);
  });

  test("cannot be led to sign in or to act by another site", async () => {
    const thing = { value: 1, done: [] as string[] };
    const { server, post } = await serve({ actions: [actionOn(thing)] }, { tokens: scoped, adminActions: ["things"] });
    const body = new URLSearchParams({ token: tokens.operate });
    const foreign = { origin: "https://evil.example" };
    expect((await fetch(`${server.url}/sign-in`, { method: "POST", headers: foreign, body })).status).toBe(403);
    const answer = await fetch(`${server.url}/sign-in`, { method: "POST", redirect: "manual", body });
    const cookie = { cookie: answer.headers.get("set-cookie")!.split(";")[0]! };
    const plan = (headers: Record<string, string>) =>
      post("/api/admin/things/7/turn/plan", { by: 1 }, { ...cookie, ...headers });
    expect((await plan({})).status).toBe(403);
    expect((await plan({ "x-requested-with": "dashboard", ...foreign })).status).toBe(403);
    expect((await plan({ "x-requested-with": "dashboard", "sec-fetch-site": "cross-site" })).status).toBe(403);
    expect((await plan({ "x-requested-with": "dashboard", origin: server.url })).status).toBe(200);
  });

  test("may try five tokens a minute", async () => {
    const { server } = await serve({}, { tokens: scoped });
    const statuses: number[] = [];
    for (let attempt = 0; attempt < 7; attempt += 1) {
      const body = new URLSearchParams({ token: `guess-${attempt}` });
      statuses.push((await fetch(`${server.url}/sign-in`, { method: "POST", body })).status);
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429]);
  });
});
