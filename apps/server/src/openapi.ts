import { STATUS_CODES } from "node:http";
import type { FastifyInstance, RouteOptions } from "fastify";
import { type JsonSchema, object, problemAnswer, type RouteDoc, string } from "./route-doc.ts";

interface Told {
  readonly method: string;
  readonly url: string;
  readonly doc: RouteDoc;
  readonly schema: {
    readonly querystring?: JsonSchema;
    readonly params?: JsonSchema;
    readonly body?: JsonSchema;
    readonly headers?: JsonSchema;
  };
}

/** Collects every route as it is registered; what requests are checked with is what is described. */
export function registerOpenApi(app: FastifyInstance, version: string): void {
  const told: Told[] = [];
  app.addHook("onRoute", (route: RouteOptions) => {
    const { doc } = route.config ?? {};
    if (!doc || doc.page) return;
    for (const method of [route.method].flat()) {
      if (method === "HEAD") continue;
      told.push({ method: method.toLowerCase(), url: route.url, doc, schema: (route.schema ?? {}) as Told["schema"] });
    }
  });
  let document: object | undefined;
  app.get(
    "/openapi.json",
    {
      config: {
        doc: { scope: "read", summary: "This description.", answers: { 200: { description: "OpenAPI 3.1" } } },
      },
    },
    async (_request, reply) => reply.send((document ??= describe(told, version))),
  );
}

function describe(told: readonly Told[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of told) {
    const path = route.url.replaceAll(/:(\w+)/g, "{$1}");
    (paths[path] ??= {})[route.method] = operation(route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Database health, metrics and operations",
      version,
      description:
        "Reading needs the scope `read`, `/metrics` needs `metrics`; health endpoints tell a stranger the status and " +
        "nothing else. Whatever changes something is planned first: the plan's token, good once and for five minutes, " +
        "executes it.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer" },
        session: { type: "apiKey", in: "cookie", name: "db_session" },
      },
    },
    paths,
  };
}

function operation({ method, url, doc, schema }: Told): object {
  const parameters = [
    ...parametersOf("path", schema.params),
    ...parametersOf("query", schema.querystring),
    ...parametersOf("header", schema.headers),
  ];
  const answers = {
    ...doc.answers,
    ...(doc.scope !== "public" && {
      401: problemAnswer("No token, or one that is not known"),
      403: problemAnswer("The token may not do this"),
    }),
    ...((parameters.length > 0 || schema.body) && { 400: problemAnswer("The request cannot be read") }),
    429: problemAnswer("Too many requests"),
    503:
      doc.answers[503] ??
      problemAnswer(
        "Not right now: `SERVER_OVERLOADED`, `SERVER_DATABASE_AWAY` or `SERVER_DATABASE_BUSY`; ask again after `Retry-After`",
      ),
  };
  return {
    operationId: `${method}${url.replaceAll(/[^A-Za-z0-9]+(\w?)/g, (_all, letter: string) => letter.toUpperCase())}`,
    summary: doc.summary,
    tags: [
      url.startsWith("/api/admin") || url.startsWith("/api/jobs")
        ? "actions"
        : url.startsWith("/api/")
          ? "data"
          : "service",
    ],
    ...(parameters.length > 0 && { parameters }),
    ...(schema.body && { requestBody: { required: true, content: { "application/json": { schema: schema.body } } } }),
    responses: Object.fromEntries(
      Object.entries(answers).map(([status, { description, type = "application/json", schema: of }]) => [
        status,
        {
          description: description || (STATUS_CODES[status] ?? status),
          ...((of ?? type !== "application/json") && { content: { [type]: of ? { schema: of } : { schema: string } } }),
        },
      ]),
    ),
    ...(doc.scope !== "public" && { security: [{ token: [] }, { session: [] }], "x-scope": doc.scope }),
  };
}

function parametersOf(where: "path" | "query" | "header", schema: JsonSchema | undefined): readonly object[] {
  const { properties = {}, required = [] } = (schema ?? object({})) as {
    properties?: Record<string, JsonSchema>;
    required?: readonly string[];
  };
  return Object.entries(properties).map(([name, { description, ...of }]) => ({
    name,
    in: where,
    required: where === "path" || required.includes(name),
    ...(description !== undefined && { description }),
    schema: of,
  }));
}
