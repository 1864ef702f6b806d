import fastifyStatic from "@fastify/static";
import {
  assetsDirectory,
  type PageName,
  pages,
  type PageView,
  type RangeName,
  ranges,
  renderPage,
  renderSignIn,
} from "@db/dashboard";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Access } from "./access.ts";
import { offeredActions } from "./admin/admin-routes.ts";
import type { ResolvedServerOptions } from "./options.ts";
import { problem } from "./problem.ts";
import { object, type RouteDoc, string } from "./route-doc.ts";
import { covers, findCredential } from "./scope.ts";
import { cookieName, type Sessions } from "./sessions.ts";
import type { PageRequest } from "./source.ts";

/** Live pages, so that they can be told that the server stops. */
export interface LivePages {
  close(): void;
}

const heartbeatMs = 15_000;
const mostLivePages = 200;
const defaultRange: RangeName = "1h";
const rangeNames: readonly string[] = ranges.map(({ name }) => name);
const pageNames: readonly string[] = pages.map(({ name }) => name);
const itemPattern = String.raw`^-?\d{1,20}$`;

interface Query {
  readonly page?: PageName;
  readonly item?: string;
  readonly range?: RangeName;
}

const querystring = object(
  {
    page: { ...string, enum: pageNames, description: "Default the first" },
    item: { ...string, pattern: itemPattern, description: "A statement's id" },
    range: { ...string, enum: rangeNames, description: "How far back charts go; default an hour" },
  },
  [],
);
const aPage: RouteDoc = {
  scope: "read",
  summary: "A page of the dashboard.",
  answers: { 200: { description: "The page", type: "text/html" } },
  page: true,
};

/** The dashboard: its pages, their files, their data and their live updates, and the form to sign in. */
export async function registerPages(
  app: FastifyInstance,
  options: ResolvedServerOptions,
  access: Access,
  sessions: Sessions,
): Promise<LivePages> {
  const { source, updateIntervalMs, logger } = options;
  const offered = offeredActions(options);
  const requestOf = (request: FastifyRequest, { page = "status", item, range = defaultRange }: Query): PageRequest => {
    const caller = access.callerOf(request);
    return {
      page,
      ...(item !== undefined && { item }),
      range,
      signedInAs: caller.by === "cookie" ? caller.subject : null,
      may: (action) => offered.some(({ name, scope }) => name === action && covers(caller.scope, scope)),
    };
  };
  const html = async (request: FastifyRequest, reply: FastifyReply, query: Query): Promise<FastifyReply> =>
    reply
      .header("cache-control", "no-store")
      .type("text/html; charset=utf-8")
      .send(renderPage(await source.page(requestOf(request, query))));

  await app.register(fastifyStatic, {
    root: assetsDirectory,
    prefix: "/assets/",
    immutable: true,
    maxAge: "365d",
    index: false,
    decorateReply: false,
  });

  const schema = { querystring: object({ range: { ...string, enum: rangeNames } }, []) };
  for (const { name, path } of pages) {
    app.get<{ Querystring: Query }>(`/${path}`, { schema, config: { doc: aPage } }, async (request, reply) =>
      html(request, reply, { ...rangeOf(request.query), page: name }),
    );
  }
  app.get<{ Querystring: Query; Params: { id: string } }>(
    "/queries/:id",
    { schema: { ...schema, params: object({ id: { ...string, pattern: itemPattern } }) }, config: { doc: aPage } },
    async (request, reply) =>
      html(request, reply, { ...rangeOf(request.query), page: "queries", item: request.params.id }),
  );

  registerSignIn(app, options, access, sessions);

  app.get<{ Querystring: Query }>(
    "/api/status",
    {
      schema: { querystring },
      config: {
        doc: {
          scope: "read",
          summary: "A page's data.",
          answers: { 200: { description: "The page as data", schema: { type: "object" } } },
        },
      },
    },
    async (request, reply) =>
      reply.header("cache-control", "no-store").send(await source.page(requestOf(request, request.query))),
  );

  const live = new Map<FastifyReply["raw"], PageRequest>();
  app.get<{ Querystring: Query }>(
    "/api/events",
    {
      schema: { querystring },
      config: {
        doc: {
          scope: "read",
          summary: "A page's data, again and again: events `view`.",
          answers: { 200: { description: "Events", type: "text/event-stream" } },
        },
      },
    },
    async (request, reply) => {
      if (live.size >= mostLivePages)
        return problem(reply.header("retry-after", "30"), 503, "too many pages are live", {
          code: "SERVER_OVERLOADED",
        });
      reply.hijack();
      const stream = reply.raw;
      stream.writeHead(200, {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      });
      const wanted = requestOf(request, request.query);
      live.set(stream, wanted);
      stream.on("close", () => live.delete(stream));
      await send(new Map([[stream, wanted]]));
      return reply;
    },
  );

  async function send(streams: ReadonlyMap<FastifyReply["raw"], PageRequest>): Promise<void> {
    // Whoever looks at the same page with the same rights gets the same text.
    const made = new Map<string, Promise<PageView>>();
    for (const [stream, request] of streams) {
      // A reader that does not read is skipped: its next update is newer anyway.
      if (stream.writableNeedDrain || stream.destroyed) continue;
      const rights = offered.filter(({ name }) => request.may(name)).map(({ name }) => name);
      const key = JSON.stringify([request.page, request.item, request.range, request.signedInAs, rights]);
      let view = made.get(key);
      if (!view) made.set(key, (view = source.page(request)));
      try {
        stream.write(`event: view\ndata: ${JSON.stringify(await view)}\n\n`);
      } catch (error) {
        logger.warn({ err: error }, "no view for a live page");
      }
    }
  }

  let beats = 0;
  let sending = false;
  const timer = setInterval(() => {
    if (live.size === 0 || sending) return;
    beats += updateIntervalMs;
    if (beats >= heartbeatMs) {
      beats = 0;
      for (const stream of live.keys()) stream.write(": still here\n\n");
    }
    sending = true;
    void send(live).finally(() => (sending = false));
  }, updateIntervalMs);
  timer.unref();
  return {
    close: () => {
      clearInterval(timer);
      for (const stream of live.keys()) stream.end();
    },
  };
}

/** What a page takes of its query: whatever else stands there is not passed on. */
function rangeOf({ range }: Query): Pick<Query, "range"> {
  return range === undefined ? {} : { range };
}

/** A form that gives a cookie for a token: a browser sends no bearer token by itself. */
function registerSignIn(
  app: FastifyInstance,
  options: ResolvedServerOptions,
  access: Access,
  sessions: Sessions,
): void {
  app.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_request, body, done) => {
    done(null, Object.fromEntries(new URLSearchParams(String(body))));
  });
  const cookie = (request: FastifyRequest, value: string, seconds: number): string => {
    const secure = request.headers["x-forwarded-proto"] === "https" ? "; Secure" : "";
    return `${cookieName}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`;
  };
  const rateLimit = { max: options.signInsPerMinute, timeWindow: 60_000 };
  const answers = { 303: { description: "To the first page", type: "text/html" } };
  app.post<{ Body: { token: string } }>(
    "/sign-in",
    {
      schema: { body: object({ token: { ...string, maxLength: 500 } }) },
      config: { rateLimit, doc: { scope: "public", summary: "Gives a browser a cookie for a token.", answers } },
    },
    async (request, reply) => {
      if (!access.sameOrigin(request)) return problem(reply, 403, "the form must come from this server");
      const credential = findCredential(options.credentials, request.body.token.trim());
      if (!credential || !covers(credential.scope, "read")) {
        const health = await options.source.health();
        return reply
          .code(401)
          .header("cache-control", "no-store")
          .type("text/html; charset=utf-8")
          .send(renderSignIn({ status: health.status, refused: true }));
      }
      const { value, seconds } = sessions.open(credential);
      return reply
        .code(303)
        .header("set-cookie", cookie(request, value, seconds))
        .header("location", "./")
        .send();
    },
  );
  app.post(
    "/sign-out",
    { config: { doc: { scope: "public", summary: "Takes the cookie back.", answers } } },
    async (request, reply) => {
      if (!access.sameOrigin(request)) return problem(reply, 403, "the form must come from this server");
      const value = new RegExp(`${cookieName}=([\\w-]+)`).exec(request.headers.cookie ?? "")?.[1];
      if (value !== undefined) sessions.close(value);
      return reply
        .code(303)
        .header("set-cookie", cookie(request, "", 0))
        .header("location", "./")
        .send();
    },
  );
}
