import { STATUS_CODES } from "node:http";
import { redactUrls } from "@db/core";
import type { FastifyReply } from "fastify";

/** More that a problem may tell. */
export interface ProblemFields {
  /** A stable code a program can act on. */
  readonly code?: string;
  readonly hint?: string | undefined;
}

/** Answers with RFC 9457 problem details: a status and a sentence, never a stack, a path or a connection string. */
export function problem(reply: FastifyReply, status: number, detail: string, fields: ProblemFields = {}): FastifyReply {
  return reply
    .code(status)
    .header("cache-control", "no-store")
    .type("application/problem+json")
    .send(JSON.stringify({ type: "about:blank", title: STATUS_CODES[status] ?? "Error", status, detail, ...fields }));
}

export function unauthorized(reply: FastifyReply): FastifyReply {
  return problem(reply.header("www-authenticate", "Bearer"), 401, "a bearer token is needed");
}

/** A message without what strangers must not see: connection strings, paths, addresses, literals. */
export function scrub(message: string): string {
  return redactUrls(message)
    .replaceAll(/'(?:[^']|'')*'/g, "?")
    .replaceAll(/(?:[A-Za-z]:)?(?:[\\/][\w.@~+-]+){2,}[\\/]?/g, "<path>")
    .replaceAll(/\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b/g, "<address>")
    .split("\n", 1)[0]!
    .slice(0, 400);
}
