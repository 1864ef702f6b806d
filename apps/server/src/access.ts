import type { FastifyRequest } from "fastify";
import { isLoopback, type ResolvedServerOptions } from "./options.ts";
import { covers, findCredential, type Scope } from "./scope.ts";
import { cookieName, type Sessions } from "./sessions.ts";

/** Whoever sent a request. */
export interface Caller {
  /** For the audit trail and plan tokens. */
  readonly subject: string;
  /** `null` for a stranger: nothing but status. */
  readonly scope: Scope | null;
  /** A cookie is sent by the browser whoever asked it to, so what it does must prove its origin. */
  readonly by: "token" | "cookie" | "loopback" | "nothing";
}

/** Who may see and do what. Without tokens the server listens on loopback only, and whoever is there may read. */
export interface Access {
  callerOf(request: FastifyRequest): Caller;
  may(request: FastifyRequest, scope: Scope): boolean;
  /** True when the request names this server as its host. */
  knowsHost(request: FastifyRequest): boolean;
  /** True unless a browser was led here by another page. */
  sameOrigin(request: FastifyRequest): boolean;
}

export function createAccess(options: ResolvedServerOptions, sessions: Sessions): Access {
  const { credentials } = options;
  const hosts = new Set(
    [...options.allowedHosts, options.host, "localhost", "127.0.0.1", "[::1]"].map((host) => host.toLowerCase()),
  );
  const hostOf = (request: FastifyRequest): string => (request.headers.host ?? "").toLowerCase();
  const stranger: Caller = { subject: "stranger", scope: null, by: "nothing" };
  const callerOf = (request: FastifyRequest): Caller => {
    const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
    if (given !== undefined) {
      const found = findCredential(credentials, given);
      return found ? { subject: found.subject, scope: found.scope, by: "token" } : stranger;
    }
    const cookie = new RegExp(`(?:^|;\\s*)${cookieName}=([\\w-]{1,100})`).exec(request.headers.cookie ?? "")?.[1];
    const session = cookie === undefined ? undefined : sessions.find(cookie);
    if (session) return { subject: session.subject, scope: session.scope, by: "cookie" };
    return credentials.length === 0 ? { subject: "loopback", scope: "read", by: "loopback" } : stranger;
  };
  return {
    callerOf,
    may: (request, scope) => covers(callerOf(request).scope, scope),
    knowsHost(request) {
      if (!isLoopback(options.host) && options.allowedHosts.length === 0) return true;
      return hosts.has(hostOf(request).replace(/:\d+$/, ""));
    },
    sameOrigin(request) {
      const { origin } = request.headers;
      const site = request.headers["sec-fetch-site"];
      if (site !== undefined) return site === "same-origin" || site === "none";
      return origin === undefined || origin.replace(/^https?:\/\//, "").toLowerCase() === hostOf(request);
    },
  };
}
