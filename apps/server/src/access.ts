import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { isLoopback, type ResolvedServerOptions } from "./options.ts";

/** Who may see what. Without tokens the server listens on loopback only, and everyone there may read. */
export interface Access {
  /** True when the request may read details. */
  mayRead(request: FastifyRequest): boolean;
  /** True when the request names this server as its host. */
  knowsHost(request: FastifyRequest): boolean;
}

export function createAccess(options: ResolvedServerOptions): Access {
  const hashes = options.tokens.map(hash);
  const hosts = new Set(
    [...options.allowedHosts, options.host, "localhost", "127.0.0.1", "[::1]"].map((host) => host.toLowerCase()),
  );
  return {
    mayRead(request) {
      if (hashes.length === 0) return true;
      const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
      if (given === undefined) return false;
      const candidate = hash(given);
      // Every token is compared, in constant time, so that neither its content nor its place can be timed.
      return hashes.reduce((found, known) => timingSafeEqual(known, candidate) || found, false);
    },
    knowsHost(request) {
      if (!isLoopback(options.host)) return true;
      const host = (request.headers.host ?? "").toLowerCase().replace(/:\d+$/, "");
      return hosts.has(host);
    },
  };
}

function hash(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
