import { monitorEventLoopDelay } from "node:perf_hooks";
import rateLimit from "@fastify/rate-limit";
import { isConnectionError, isDbError, messageOf, redactUrls, sqlStateOf, systemClock } from "@db/core";
import { renderSignIn } from "@db/dashboard";
import fastify, { type FastifyError, type FastifyInstance } from "fastify";
import { type Access, createAccess } from "./access.ts";
import { refusalAnswer, registerActions } from "./admin/admin-routes.ts";
import { ListenError } from "./errors.ts";
import { registerHealth } from "./health-route.ts";
import { registerLists } from "./list-routes.ts";
import { registerMetrics } from "./metrics-route.ts";
import { registerOpenApi } from "./openapi.ts";
import { type ResolvedServerOptions, resolveServerOptions, type ServerOptions } from "./options.ts";
import { registerPages } from "./page-route.ts";
import { problem, unauthorized } from "./problem.ts";
import { createSessions } from "./sessions.ts";

/** A server that listens. */
export interface StatusServer extends AsyncDisposable {
  /** `http://127.0.0.1:8787`. */
  readonly url: string;
  readonly port: number;
  /**
   * Says not ready, waits `drainMs`, ends live pages, stops listening, waits for actions under way. May be called
   * again. The database is its owner's to close, after that.
   */
  close(): Promise<void>;
}

const healthPaths: ReadonlySet<string> = new Set([
  "/livez",
  "/readyz",
  "/startupz",
  "/healthz",
  "/api/health/database",
]);
/** Behind by more than this, the process answers health endpoints alone. */
const mostDelayMs = 1_000;

/** A lock or an answer that did not come in the time it was given. */
const tooLate: ReadonlySet<string> = new Set(["55P03", "57014"]);

/**
 * Serves health, metrics, the dashboard and, where they are turned on, actions.
 * @throws {PublicAddressError | WeakTokenError | ListenError}
 */
export async function startServer(given: ServerOptions): Promise<StatusServer> {
  const options = resolveServerOptions(given);
  const state = { draining: false };
  const sessions = createSessions();
  const access = createAccess(options, sessions);
  const app = fastify({
    logger: false,
    bodyLimit: 65_536,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 200 },
    exposeHeadRoutes: true,
    // An address that cannot be read is not said back.
    frameworkErrors: (_error, _request, reply) => void problem(reply, 400, "the address cannot be read"),
    ajv: { customOptions: { removeAdditional: false, coerceTypes: true, allErrors: true } },
  });
  const pressure = monitorEventLoopDelay({ resolution: 20 });
  pressure.enable();
  guard(app, options, access, () => pressure.mean / 1e6 > mostDelayMs);
  await app.register(rateLimit, {
    max: options.requestsPerMinute,
    timeWindow: 60_000,
    allowList: (request) => healthPaths.has(pathOf(request.url)),
    errorResponseBuilder: (_request, context) =>
      Object.assign(new Error("too many requests"), { statusCode: context.statusCode }),
  });
  registerOpenApi(app, options.version);
  registerHealth(app, options, access, state);
  registerMetrics(app, options, access);
  registerLists(app, options);
  const live = await registerPages(app, options, access, sessions);
  const jobs = registerActions(app, options, access);
  const forget = setInterval(() => pressure.reset(), 5_000);
  forget.unref();
  const port = await listen(app, options);
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;

  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      state.draining = true;
      if (options.drainMs > 0) await systemClock.sleep(options.drainMs);
      live.close();
      await app.close();
      await jobs.close(options.actionDrainMs);
      options.source.close?.();
      clearInterval(forget);
      pressure.disable();
    })();
    return closing;
  };
  return { url: `http://${host}:${port}`, port, close, [Symbol.asyncDispose]: close };
}

function guard(app: FastifyInstance, options: ResolvedServerOptions, access: Access, overloaded: () => boolean): void {
  app.addHook("onRequest", async (request, reply) => {
    reply.headers({
      "content-security-policy":
        "default-src 'self'; img-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      // Nothing to other sites; a form on the own page must still name its origin.
      "referrer-policy": "same-origin",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
    });
    if (!access.knowsHost(request)) return problem(reply, 421, "this server does not answer to that host name");
    // Health comes first: what else is asked can be asked again.
    if (overloaded() && !healthPaths.has(pathOf(request.url))) {
      return problem(reply.header("retry-after", "5"), 503, "the server is overloaded", { code: "SERVER_OVERLOADED" });
    }
    const { doc } = request.routeOptions.config;
    if (!doc || doc.scope === "public" || access.may(request, doc.scope)) {
      const caller = access.callerOf(request);
      const proven = request.headers["x-requested-with"] !== undefined && access.sameOrigin(request);
      if (doc?.changes && caller.by === "cookie" && !proven)
        return problem(reply, 403, "a browser must ask from this server's own page");
      return undefined;
    }
    if (access.callerOf(request).scope !== null)
      return problem(reply, 403, `this token may not: it needs the scope ${doc.scope}`);
    if (!doc.page || !(request.headers.accept ?? "").includes("text/html")) return unauthorized(reply);
    const { status } = await options.source.health();
    return reply
      .code(401)
      .header("cache-control", "no-store")
      .type("text/html; charset=utf-8")
      .send(renderSignIn({ status, refused: false }));
  });
  app.setNotFoundHandler((request, reply) =>
    request.method === "GET" || request.method === "HEAD"
      ? problem(reply, 404, "there is nothing here")
      : problem(reply.header("allow", "GET, HEAD"), 405, "nothing here can be changed that way"),
  );
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const refused = refusalAnswer(error, reply);
    if (refused) return refused;
    if (error.validation) {
      const [first] = error.validation;
      const where = `${error.validationContext ?? "request"}${first?.instancePath.replaceAll("/", ".") ?? ""}`;
      return problem(reply, 400, `${where} ${first?.message ?? "cannot be read"}`, { code: "SERVER_INVALID_REQUEST" });
    }
    const status =
      error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500 ? error.statusCode : 503;
    if (status === 503) {
      options.logger.error({ err: redactUrls(messageOf(error)), route: request.routeOptions.url }, "request failed");
      const code = reasonOf(error);
      const later = reply.header("retry-after", "5");
      return problem(later, status, "the answer could not be made right now", code === undefined ? {} : { code });
    }
    return problem(reply, status, status === 429 ? "too many requests" : "the request cannot be read");
  });
}

// Why it could not be made, for programs: only what has a name of its own.
function reasonOf(error: FastifyError): string | undefined {
  if (isDbError(error)) return error.code;
  if (isConnectionError(error)) return "SERVER_DATABASE_AWAY";
  return tooLate.has(sqlStateOf(error) ?? "") ? "SERVER_DATABASE_BUSY" : undefined;
}

function pathOf(url: string): string {
  return url.split("?", 1)[0]!;
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
