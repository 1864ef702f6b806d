import { Transform } from "node:stream";
import { constants, createGzip } from "node:zlib";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Access } from "./access.ts";
import type { ResolvedServerOptions } from "./options.ts";
import { problem, unauthorized } from "./problem.ts";
import { anything, object, string } from "./route-doc.ts";

const contentTypes = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
} as const;
const words = {
  anyOf: [
    { ...string, maxLength: 60 },
    { type: "array", items: { ...string, maxLength: 60 }, maxItems: 50 },
  ],
};

interface Query {
  readonly detailed?: string;
  readonly format?: string;
  readonly "collect[]"?: string | readonly string[];
}

/** Metrics for machines: Prometheus and OpenMetrics by what is accepted, JSON for everyone else. */
export function registerMetrics(app: FastifyInstance, options: ResolvedServerOptions, access: Access): void {
  const text = async (request: FastifyRequest<{ Querystring: Query }>, reply: FastifyReply): Promise<FastifyReply> => {
    const format = (request.headers.accept ?? "").includes("application/openmetrics-text")
      ? "openmetrics"
      : "prometheus";
    const wanted = request.query["collect[]"];
    // 200 even when the database is away: the text says pg_up 0, and the other series live on.
    const write = await options.source.metricsText(
      format,
      collectSignal(request, options),
      wanted === undefined ? undefined : [wanted].flat(),
    );
    reply.type(contentTypes[format]).header("cache-control", "no-store").header("vary", "accept, accept-encoding");
    const packs = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
    if (packs) reply.header("content-encoding", "gzip");
    // The fastest level: what is saved beyond it is less than it costs.
    const body = packs ? createGzip({ level: constants.Z_BEST_SPEED }) : copies();
    write(body).then(
      () => body.end(),
      (error: unknown) => body.destroy(error as Error),
    );
    return reply.send(body);
  };
  app.get<{ Querystring: Query }>(
    "/metrics",
    {
      schema: { querystring: object({ "collect[]": { ...words, description: "Only these collectors" } }, []) },
      config: {
        doc: {
          scope: "metrics",
          summary: "Every metric, in Prometheus' text format or in OpenMetrics by `Accept`.",
          answers: { 200: { description: "Metrics; `pg_up 0` where the database is away", type: "text/plain" } },
        },
      },
    },
    text,
  );
  app.get<{ Querystring: Query }>(
    "/api/health/database/metrics",
    {
      schema: {
        querystring: object(
          {
            detailed: {
              ...string,
              enum: ["true", "false", "1", "0"],
              description: "With statements, findings and alerts",
            },
            format: { ...string, enum: ["json", "prometheus"] },
            "collect[]": words,
          },
          [],
        ),
      },
      config: {
        doc: {
          scope: "metrics",
          summary: "The same numbers as JSON, with the age of each part. JSON needs the scope `read`.",
          answers: { 200: { description: "Numbers", schema: anything } },
        },
      },
    },
    async (request, reply) => {
      if (request.query.format === "prometheus") return text(request, reply);
      if (!access.may(request, "read")) {
        return access.callerOf(request).scope === null
          ? unauthorized(reply)
          : problem(reply, 403, "this token may not read details");
      }
      const detailed = request.query.detailed === "true" || request.query.detailed === "1";
      return reply
        .header("cache-control", "no-store")
        .send(await options.source.metricsJson(detailed, collectSignal(request, options)));
    },
  );
}

/** A piece is overwritten by the next, and a socket may still hold it then. */
function copies(): Transform {
  return new Transform({ transform: (bytes: Buffer, _encoding, done) => done(null, Buffer.from(bytes)) });
}

// Prometheus says how long it will wait; half a second of that is left for the way back.
function collectSignal(request: FastifyRequest, options: ResolvedServerOptions): AbortSignal {
  const asked = Number(request.headers["x-prometheus-scrape-timeout-seconds"]) * 1_000 - 500;
  return AbortSignal.timeout(asked > 0 ? Math.min(asked, options.collectTimeoutMs) : options.collectTimeoutMs);
}
