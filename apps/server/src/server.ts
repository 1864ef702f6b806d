import rateLimit from "@fastify/rate-limit";
import { messageOf, redactUrls, systemClock } from "@db/core";
import fastify, { type FastifyError, type FastifyInstance } from "fastify";
import { type Access, createAccess } from "./access.ts";
import { ListenError } from "./errors.ts";
import { registerHealth } from "./health-route.ts";
import { registerMetrics } from "./metrics-route.ts";
import { type ResolvedServerOptions, resolveServerOptions, type ServerOptions } from "./options.ts";
import { registerPage } from "./page-route.ts";
import { problem } from "./problem.ts";

/** A server that listens. */
export interface StatusServer extends AsyncDisposable {
  /** `http://127.0.0.1:8787`. */
  readonly url: string;
  readonly port: number;
  /** Says not ready, waits `drainMs`, ends live pages, stops listening. May be called again. */
  close(): Promise<void>;
}

const healthPaths = new Set(["/livez", "/readyz", "/startupz", "/healthz", "/api/health/database"]);

/**
 * Serves health, metrics and the dashboard. Nothing here changes anything: there is no route but GET.
 * @throws {PublicAddressError | WeakTokenError | ListenError}
 */
export async function startServer(given: ServerOptions): Promise<StatusServer> {
  const options = resolveServerOptions(given);
  const state = { draining: false };
  const access = createAccess(options);
  const app = fastify({
    logger: false,
    bodyLimit: 65_536,
    forceCloseConnections: true,
    exposeHeadRoutes: true,
    routerOptions: { maxParamLength: 200 },
  });
  guard(app, options, access);
  await app.register(rateLimit, {
    max: options.requestsPerMinute,
    timeWindow: 60_000,
    allowList: (request) => healthPaths.has(request.url.split("?")[0]!),
    errorResponseBuilder: (_request, context) =>
      Object.assign(new Error("too many requests"), { statusCode: context.statusCode }),
  });
  registerHealth(app, options, access, state);
  registerMetrics(app, options, access);
  const live = await registerPage(app, options, access);
  const port = await listen(app, options);
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;

  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      state.draining = true;
      if (options.drainMs > 0) await systemClock.sleep(options.drainMs);
      live.close();
      await app.close();
    })();
    return closing;
  };
  return { url: `http://${host}:${port}`, port, close, [Symbol.asyncDispose]: close };
}

function guard(app: FastifyInstance, options: ResolvedServerOptions, access: Access): void {
  app.addHook("onRequest", async (request, reply) => {
    reply.headers({
      "content-security-policy":
        "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cross-origin-resource-policy": "same-origin",
    });
    if (!access.knowsHost(request)) return problem(reply, 421, "this server does not answer to that host name");
    return undefined;
  });
  app.setNotFoundHandler((request, reply) =>
    request.method === "GET" || request.method === "HEAD"
      ? problem(reply, 404, "there is nothing here")
      : problem(reply.header("allow", "GET, HEAD"), 405, "this server only reads"),
  );
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const status =
      error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500 ? error.statusCode : 503;
    if (status === 503)
      options.logger.error({ err: redactUrls(messageOf(error)), route: request.routeOptions.url }, "request failed");
    return problem(
      reply,
      status,
      status === 503
        ? "the answer could not be made right now"
        : status === 429
          ? "too many requests"
          : "the request cannot be read",
    );
  });
}

async function listen(app: FastifyInstance, { host, port }: ResolvedServerOptions): Promise<number> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    await app.close();
    const { code } = cause as NodeJS.ErrnoException;
    const reason =
      code === "EADDRINUSE"
        ? `port ${port} is taken`
        : code === "EACCES"
          ? `port ${port} may not be used by this account`
          : `cannot listen on ${host}:${port} (${code})`;
    throw new ListenError(reason, { cause, hint: "Choose another with --port, or leave it out for a free one." });
  }
  const address = app.server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}
