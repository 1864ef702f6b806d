import { Validator } from "@seriousme/openapi-schema-validator";
import { afterEach, describe, expect, test } from "vitest";
import { actionOn, closeAll, serve, scoped, tokens, bearer } from "./serve.ts";

afterEach(closeAll);

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
  readonly "x-scope"?: string;
}

describe("the description of the API", () => {
  test("is valid OpenAPI 3.1, names every route with its scope, and is true of what they answer", async () => {
    const { get } = await serve(
      { actions: [actionOn({ value: 1, done: [] })] },
      { tokens: scoped, adminActions: ["things"] },
    );
    expect((await get("/openapi.json")).status).toBe(401);
    const document = (await (await get("/openapi.json", bearer(tokens.read))).json()) as {
      paths: Record<string, Record<string, Operation>>;
    };
    const { valid, errors } = await new Validator().validate(structuredClone(document));
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining([
        "/livez",
        "/readyz",
        "/metrics",
        "/api/locks",
        "/api/series",
        "/api/admin/things/{id}/turn/plan",
      ]),
    );
    for (const [path, { get: operation }] of Object.entries(document.paths)) {
      if (!operation || path === "/api/events") continue;
      const answer = await get(path.replaceAll(/\{\w+\}/g, "7"), bearer(tokens.admin));
      const described = operation.responses[String(answer.status)];
      expect(described, `${path} answered ${answer.status}`).toBeDefined();
      const [type] = Object.keys(described!.content ?? {});
      if (type !== undefined) expect(answer.headers.get("content-type"), path).toContain(type);
      await answer.body?.cancel();
    }
  });
});
