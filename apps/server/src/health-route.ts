import type { FastifyInstance } from "fastify";
import type { Access } from "./access.ts";
import { cached } from "./cached.ts";
import type { ResolvedServerOptions } from "./options.ts";
import { anything, object, type RouteDoc, string } from "./route-doc.ts";
import type { AggregateHealth } from "./source.ts";

/** What the routes need to know of the server's own state. */
export interface Draining {
  readonly draining: boolean;
}

const verdict = object(
  {
    status: { type: "string", enum: ["pass", "warn", "fail"] },
    time: string,
    version: string,
    releaseId: string,
    serviceId: string,
    checks: anything,
  },
  ["status", "time"],
);

function plain(summary: string, well: string, ill?: string): { config: { doc: RouteDoc } } {
  return {
    config: {
      doc: {
        scope: "public",
        summary,
        answers: {
          200: { description: well, type: "text/plain" },
          ...(ill !== undefined && { 503: { description: ill, type: "text/plain" } }),
        },
      },
    },
  };
}

/**
 * The health endpoints.
 * @see https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06 for application/health+json
 */
export function registerHealth(
  app: FastifyInstance,
  options: ResolvedServerOptions,
  access: Access,
  state: Draining,
): void {
  const { source, version } = options;
  // A thousand probes a second are one look at the services, and one answer written for strangers and one for friends.
  const health = cached(250, async () => {
    const current = await source.health();
    return { current, brief: JSON.stringify(brief(current)), detailed: JSON.stringify(detailed(current, version)) };
  });

  // Never touches the database and stays well while draining: a restart would not mend either.
  app.get("/livez", plain("Whether the process runs. Asks no database.", "It runs"), async (_request, reply) =>
    reply.type("text/plain").send("ok\n"),
  );

  app.get("/startupz", plain("Whether the start has finished.", "It has", "Not yet"), async (_request, reply) => {
    const started = source.started();
    return reply
      .code(started ? 200 : 503)
      .type("text/plain")
      .send(started ? "ok\n" : "starting\n");
  });

  const ready = async (): Promise<{ ok: boolean; lines: readonly (readonly [string, boolean])[] }> => {
    const checks = [
      ["started", source.started()],
      ["not-draining", !state.draining],
      ["database", (await health()).current.status !== "fail"],
    ] as const;
    return { ok: checks.every(([, ok]) => ok), lines: checks };
  };
  app.get<{ Querystring: { verbose?: string; exclude?: string | string[] } }>(
    "/readyz",
    {
      ...plain("Whether requests should be sent here.", "They should", "They should not"),
      schema: {
        querystring: object(
          {
            verbose: { ...string, maxLength: 10, description: "A line for each check, for whoever may read" },
            exclude: {
              anyOf: [
                { ...string, maxLength: 40 },
                { type: "array", items: { ...string, maxLength: 40 }, maxItems: 10 },
              ],
              description: "A check that does not count, for whoever may read",
            },
          },
          [],
        ),
      },
    },
    async (request, reply) => {
      const { lines } = await ready();
      const friend = access.may(request, "read");
      const excluded = friend ? [request.query.exclude ?? []].flat() : [];
      const ok = lines.every(([name, well]) => well || excluded.includes(name));
      const told = lines.map(([name, well]) =>
        excluded.includes(name) ? `[+]${name} excluded: ok` : `[${well ? "+" : "-"}]${name} ${well ? "ok" : "failed"}`,
      );
      return reply
        .code(ok ? 200 : 503)
        .header("cache-control", "no-store")
        .type("text/plain")
        .send(request.query.verbose !== undefined && friend ? `${told.join("\n")}\n` : ok ? "ok\n" : "not ready\n");
    },
  );
  app.get(
    "/healthz",
    plain("The older name of /readyz.", "Requests should be sent here", "They should not"),
    async (_request, reply) => {
      const { ok } = await ready();
      return reply
        .header("deprecation", "true")
        .code(ok ? 200 : 503)
        .type("text/plain")
        .send(ok ? "ok\n" : "not ready\n");
    },
  );

  app.get(
    "/api/health/database",
    {
      config: {
        doc: {
          scope: "public",
          summary: "The verdict over everything, from the last probes. Details for whoever may read.",
          answers: {
            200: { description: "Well, or well with reservations", type: "application/health+json", schema: verdict },
            503: { description: "Not well", type: "application/health+json", schema: verdict },
          },
        },
      },
    },
    async (request, reply) => {
      const { current, ...written } = await health();
      return reply
        .code(current.status === "fail" ? 503 : 200)
        .header("cache-control", "no-store")
        .type("application/health+json")
        .send(access.may(request, "read") ? written.detailed : written.brief);
    },
  );
}

function brief(health: AggregateHealth): object {
  return { status: health.status, time: new Date().toISOString() };
}

const datastores = /^(primary|replica|standby|server)\b/;

function detailed(health: AggregateHealth, version: string): object {
  const checks: Record<string, object[]> = {};
  for (const { name, status, observedValue, observedUnit, time, output } of health.checks) {
    const componentType = datastores.test(name) ? "datastore" : "component";
    (checks[name] ??= []).push({ componentType, status, observedValue, observedUnit, time, output });
  }
  return {
    status: health.status,
    version: "1",
    releaseId: version,
    serviceId: "db-server",
    time: new Date().toISOString(),
    checks,
  };
}
