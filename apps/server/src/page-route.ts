import fastifyStatic from "@fastify/static";
import { assetsDirectory, renderPage, type StatusView } from "@db/dashboard";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { Access } from "./access.ts";
import { cached } from "./cached.ts";
import type { ResolvedServerOptions } from "./options.ts";
import { unauthorized } from "./problem.ts";

/** Live pages, so that they can be told that the server stops. */
export interface LivePages {
  close(): void;
}

const heartbeatMs = 15_000;
const mostLivePages = 200;

/** The dashboard: the page, its files, its data and its live updates. */
export async function registerPage(
  app: FastifyInstance,
  options: ResolvedServerOptions,
  access: Access,
): Promise<LivePages> {
  const { source, updateIntervalMs, logger } = options;
  const view = cached(Math.min(1_000, updateIntervalMs), () => source.view());
  const live = new Set<FastifyReply["raw"]>();

  await app.register(fastifyStatic, {
    root: assetsDirectory,
    prefix: "/assets/",
    immutable: true,
    maxAge: "365d",
    index: false,
    decorateReply: false,
  });

  app.get("/", async (request, reply) => {
    if (!access.mayRead(request)) return unauthorized(reply);
    return reply
      .header("cache-control", "no-store")
      .type("text/html; charset=utf-8")
      .send(renderPage(await view()));
  });
  app.get("/api/status", async (request, reply) => {
    if (!access.mayRead(request)) return unauthorized(reply);
    return reply.header("cache-control", "no-store").send(await view());
  });
  app.get("/api/events", async (request, reply) => {
    if (!access.mayRead(request)) return unauthorized(reply);
    if (live.size >= mostLivePages) return reply.code(503).header("retry-after", "30").send();
    reply.hijack();
    const stream = reply.raw;
    stream.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    });
    live.add(stream);
    stream.on("close", () => live.delete(stream));
    await send([stream], view, logger);
    return reply;
  });

  let beats = 0;
  const timer = setInterval(() => {
    if (live.size === 0) return;
    beats += updateIntervalMs;
    if (beats >= heartbeatMs) {
      beats = 0;
      for (const stream of live) stream.write(": still here\n\n");
    }
    void send(live, view, logger);
  }, updateIntervalMs);
  timer.unref();
  return {
    close: () => {
      clearInterval(timer);
      for (const stream of live) stream.end();
    },
  };
}

async function send(
  streams: Iterable<FastifyReply["raw"]>,
  view: () => Promise<StatusView>,
  logger: ResolvedServerOptions["logger"],
): Promise<void> {
  try {
    const event = `event: view\ndata: ${JSON.stringify(await view())}\n\n`;
    // A reader that does not read is skipped: its next update is newer anyway.
    for (const stream of streams) if (!stream.writableNeedDrain) stream.write(event);
  } catch (error) {
    logger.warn({ err: error }, "no view for the live pages");
  }
}
