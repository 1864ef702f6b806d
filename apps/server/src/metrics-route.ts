import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Access } from "./access.ts";
import type { ResolvedServerOptions } from "./options.ts";
import { unauthorized } from "./problem.ts";

const contentTypes = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
} as const;

/** Metrics for machines: Prometheus and OpenMetrics by what is accepted, JSON for everyone else. */
export function registerMetrics(app: FastifyInstance, options: ResolvedServerOptions, access: Access): void {
  const text = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    if (!access.mayRead(request)) return unauthorized(reply);
    const format = (request.headers.accept ?? "").includes("application/openmetrics-text")
      ? "openmetrics"
      : "prometheus";
    // 200 even when the database is away: the text says pg_up 0, and the other series live on.
    const body = await options.source.metricsText(format, collectSignal(request, options));
    return reply.type(contentTypes[format]).send(body);
  };
  app.get("/metrics", text);
  app.get<{ Querystring: { detailed?: string; format?: string } }>(
    "/api/health/database/metrics",
    async (request, reply) => {
      if (request.query.format === "prometheus") return text(request, reply);
      if (!access.mayRead(request)) return unauthorized(reply);
      const detailed = request.query.detailed === "true" || request.query.detailed === "1";
      return reply
        .header("cache-control", "no-store")
        .send(await options.source.metricsJson(detailed, collectSignal(request, options)));
    },
  );
}

// Prometheus says how long it will wait; half a second of that is left for the way back.
function collectSignal(request: FastifyRequest, options: ResolvedServerOptions): AbortSignal {
  const asked = Number(request.headers["x-prometheus-scrape-timeout-seconds"]) * 1_000 - 500;
  return AbortSignal.timeout(asked > 0 ? Math.min(asked, options.collectTimeoutMs) : options.collectTimeoutMs);
}
