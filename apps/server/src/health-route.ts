import type { FastifyInstance } from "fastify";
import type { Access } from "./access.ts";
import { cached } from "./cached.ts";
import type { ResolvedServerOptions } from "./options.ts";
import type { AggregateHealth } from "./source.ts";

/** What the routes need to know of the server's own state. */
export interface Draining {
  readonly draining: boolean;
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
  // A thousand probes a second are one look at the services.
  const health = cached(250, () => source.health());

  // Never touches the database and stays well while draining: a restart would not mend either.
  app.get("/livez", async (_request, reply) => reply.type("text/plain").send("ok\n"));

  app.get("/startupz", async (_request, reply) => {
    const started = source.started();
    return reply
      .code(started ? 200 : 503)
      .type("text/plain")
      .send(started ? "ok\n" : "starting\n");
  });

  const ready = async (): Promise<{ ok: boolean; lines: readonly string[] }> => {
    const checks: [string, boolean][] = [
      ["started", source.started()],
      ["not-draining", !state.draining],
      ["database", (await health()).status !== "fail"],
    ];
    return {
      ok: checks.every(([, ok]) => ok),
      lines: checks.map(([name, ok]) => `[${ok ? "+" : "-"}]${name} ${ok ? "ok" : "failed"}`),
    };
  };
  app.get<{ Querystring: { verbose?: string } }>("/readyz", async (request, reply) => {
    const { ok, lines } = await ready();
    const verbose = request.query.verbose !== undefined && access.mayRead(request);
    return reply
      .code(ok ? 200 : 503)
      .type("text/plain")
      .send(verbose ? `${lines.join("\n")}\n` : ok ? "ok\n" : "not ready\n");
  });
  app.get("/healthz", async (_request, reply) => {
    const { ok } = await ready();
    return reply
      .header("deprecation", "true")
      .code(ok ? 200 : 503)
      .type("text/plain")
      .send(ok ? "ok\n" : "not ready\n");
  });

  app.get("/api/health/database", async (request, reply) => {
    const current = await health();
    return reply
      .code(current.status === "fail" ? 503 : 200)
      .header("cache-control", "no-store")
      .type("application/health+json")
      .send(JSON.stringify(access.mayRead(request) ? detailed(current, version) : brief(current)));
  });
}

function brief(health: AggregateHealth): object {
  return { status: health.status, time: new Date().toISOString() };
}

function detailed(health: AggregateHealth, version: string): object {
  const checks: Record<string, object[]> = {};
  for (const { name, status, observedValue, observedUnit, time, output } of health.checks) {
    (checks[name] ??= []).push({ status, observedValue, observedUnit, time, output });
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
