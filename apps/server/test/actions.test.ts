import { afterEach, describe, expect, test } from "vitest";
import { createPlanTokens, hashOfPlan } from "../src/admin/plan-tokens.ts";
import { actionOn, bearer, closeAll, scoped, serve, tokens } from "./serve.ts";

afterEach(closeAll);

const url = "/api/admin/things/7/turn";
const operate = bearer(tokens.operate);

async function withThing(wait?: Promise<void>) {
  const thing = { value: 1, done: [] as string[] };
  const asked = await serve(
    { actions: [actionOn(thing, wait)] },
    { tokens: scoped, adminActions: ["things"], actionsPerMinute: 1_000 },
  );
  const plan = async (headers = operate): Promise<string> =>
    ((await (await asked.post(`${url}/plan`, { by: 3 }, headers)).json()) as { token: string }).token;
  return { ...asked, thing, plan };
}

describe("an action", () => {
  test("is planned, shown, and done once by whoever agreed", async () => {
    const { post, get, thing } = await withThing();
    const answer = (await (await post(`${url}/plan`, { by: 3 }, operate)).json()) as {
      token: string;
      expiresAt: string;
      plan: object;
    };
    expect(answer.plan).toMatchObject({ title: "Turn thing 7", sql: ["select turn(7, 3)"] });
    expect(Date.parse(answer.expiresAt) - Date.now()).toBeLessThanOrEqual(300_000);
    expect(thing.done).toEqual([]);
    const done = await post(url, { token: answer.token }, operate);
    expect(done.status).toBe(202);
    const job = (await done.json()) as { id: string };
    expect(job).toMatchObject({ state: "done", result: { at: 1 }, error: null });
    expect(thing.done).toEqual([expect.stringMatching(/^token:[0-9a-f]{8}:7:3$/)]);
    expect(await (await get(`/api/jobs/${job.id}`, operate)).json()).toEqual(job);
    expect((await post(url, { token: answer.token }, operate)).status).toBe(409);
    expect(thing.done).toHaveLength(1);
  });

  test.each([
    ["without a token", async () => ({})],
    ["with one that was made up", async () => ({ token: "x".repeat(43) })],
    [
      "with somebody else's",
      async (plan: (headers: Record<string, string>) => Promise<string>) => ({
        token: await plan(bearer(tokens.admin)),
      }),
    ],
  ])("is not done %s", async (_how, bodyOf) => {
    const { post, thing, plan } = await withThing();
    expect([400, 409]).toContain((await post(url, await bodyOf(plan), operate)).status);
    expect(thing.done).toEqual([]);
  });

  test("is not done to another thing than was agreed", async () => {
    const { post, thing, plan } = await withThing();
    expect((await post("/api/admin/things/8/turn", { token: await plan() }, operate)).status).toBe(409);
    expect(thing.done).toEqual([]);
  });

  test("is not done when things changed meanwhile", async () => {
    const { post, thing, plan } = await withThing();
    const agreed = await plan();
    thing.value = 2;
    const answer = await post(url, { token: agreed }, operate);
    expect(await answer.json()).toMatchObject({ status: 409, code: "SERVER_PLAN_CHANGED" });
    expect(thing.done).toEqual([]);
  });

  test("is not done by whoever may only read, nor planned", async () => {
    const { post, thing } = await withThing();
    expect((await post(`${url}/plan`, { by: 3 }, bearer(tokens.read))).status).toBe(403);
    expect((await post(url, { token: "x" }, bearer(tokens.read))).status).toBe(403);
    expect(thing.done).toEqual([]);
  });

  test("asked for again under its key is done once, and answered with the same job", async () => {
    const { post, thing, plan } = await withThing();
    const token = await plan();
    const keyed = { ...operate, "idempotency-key": "one" };
    const first = (await (await post(url, { token }, keyed)).json()) as { id: string };
    const again = await post(url, { token }, keyed);
    expect(again.status).toBe(202);
    expect(await again.json()).toEqual(first);
    expect(thing.done).toHaveLength(1);
    const other = await post(url, { token: await plan() }, keyed);
    expect([other.status, await other.json()]).toEqual([
      422,
      expect.objectContaining({ code: "SERVER_IDEMPOTENCY_KEY" }),
    ]);
    expect(thing.done).toHaveLength(1);
  });

  test("that was refused leaves its key free for the next try", async () => {
    const { post, thing, plan } = await withThing();
    const agreed = await plan();
    thing.value = 2;
    const keyed = { ...operate, "idempotency-key": "two" };
    expect((await post(url, { token: agreed }, keyed)).status).toBe(409);
    expect((await post(url, { token: await plan() }, keyed)).status).toBe(202);
  });

  test("under somebody else's key is another execution", async () => {
    const { post, thing, plan } = await withThing();
    const key = { "idempotency-key": "three" };
    const admin = bearer(tokens.admin);
    expect((await post(url, { token: await plan() }, { ...operate, ...key })).status).toBe(202);
    expect((await post(url, { token: await plan(admin) }, { ...admin, ...key })).status).toBe(202);
    expect(thing.done).toHaveLength(2);
  });

  test("of one kind runs one at a time, and is waited for when the server closes", async () => {
    const gate = Promise.withResolvers<void>();
    const { post, server, thing, plan } = await withThing(gate.promise);
    const [first, second] = [await plan(), await plan()];
    const running = await post(url, { token: first }, operate);
    expect(await running.json()).toMatchObject({ state: "running" });
    expect((await post(url, { token: second }, operate)).status).toBe(409);
    const closed = server.close();
    gate.resolve();
    await closed;
    expect(thing.done).toHaveLength(1);
  });

  test("that fails tells its code and no secret", async () => {
    const thing = { value: 1, done: [] as string[] };
    const failing = {
      ...actionOn(thing),
      execute: () => Promise.reject(new Error("at /srv/secret/place 'literal' postgres://u:pw@10.1.2.3/d")),
    };
    const { post } = await serve({ actions: [failing] }, { tokens: scoped, adminActions: ["things"] });
    const { token } = (await (await post(`${url}/plan`, { by: 3 }, operate)).json()) as { token: string };
    const text = await (await post(url, { token }, operate)).text();
    expect(text).toContain('"state":"failed"');
    expect(text).not.toMatch(/secret|literal|pw|10\.1\.2\.3/);
  });

  test("has no route until it is named and somebody may ask for it", async () => {
    const actions = [actionOn({ value: 1, done: [] })];
    const none = await serve({ actions }, { tokens: scoped });
    expect((await none.post(`${url}/plan`, { by: 3 }, operate)).status).toBe(405);
    const readers = await serve({ actions }, { tokens: [`read:${tokens.read}`], adminActions: ["things"] });
    expect((await readers.post(`${url}/plan`, { by: 3 }, bearer(tokens.read))).status).toBe(405);
    const open = await serve({ actions }, { adminActions: ["things"] });
    expect((await open.post(`${url}/plan`, { by: 3 })).status).toBe(405);
  });

  test("may be asked for ten times a minute", async () => {
    const { post } = await serve(
      { actions: [actionOn({ value: 1, done: [] })] },
      { tokens: scoped, adminActions: ["things"] },
    );
    const statuses: number[] = [];
    for (let attempt = 0; attempt < 12; attempt += 1)
      statuses.push((await post(`${url}/plan`, { by: 3 }, operate)).status);
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 200), 429, 429]);
  });
});

describe("plan tokens", () => {
  const plan = { action: "a", args: { id: 7 }, subject: "token:1", hash: "h" };

  test("end after five minutes", () => {
    let now = 0;
    const given = createPlanTokens(() => now);
    const { token } = given.issue(plan);
    now = 299_999;
    const late = given.issue(plan).token;
    expect(given.redeem(token, plan)).toMatchObject({ plan: { hash: "h" } });
    now += 300_000;
    expect(given.redeem(late, plan)).toEqual({ refused: "expired" });
  });

  test("stay good for their owner when somebody else tries them", () => {
    const given = createPlanTokens();
    const { token } = given.issue(plan);
    expect(given.redeem(token, { ...plan, subject: "token:2" })).toEqual({ refused: "unknown" });
    expect(given.redeem(token, plan)).toHaveProperty("plan");
    expect(given.redeem(token, plan)).toEqual({ refused: "unknown" });
  });

  test("stand for action, arguments, statements and what must still be so", () => {
    const of = { action: "a", args: { id: 7, by: 1 }, sql: ["select 1"], identity: 3 };
    const same = hashOfPlan({ ...of, args: { by: 1, id: 7 } });
    expect(hashOfPlan(of)).toBe(same);
    for (const other of [
      { ...of, action: "b" },
      { ...of, args: { id: 8, by: 1 } },
      { ...of, sql: [] },
      { ...of, identity: 4 },
    ])
      expect(hashOfPlan(other)).not.toBe(same);
  });
});
