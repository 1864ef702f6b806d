import { STATUS_CODES } from "node:http";
import type { FastifyReply } from "fastify";

/** Answers with RFC 9457 problem details: a status and a sentence, never a stack, a path or a connection string. */
export function problem(reply: FastifyReply, status: number, detail: string): FastifyReply {
  return reply
    .code(status)
    .header("cache-control", "no-store")
    .type("application/problem+json")
    .send(JSON.stringify({ type: "about:blank", title: STATUS_CODES[status] ?? "Error", status, detail }));
}

export function unauthorized(reply: FastifyReply): FastifyReply {
  return problem(reply.header("www-authenticate", "Bearer"), 401, "a bearer token is needed");
}
