import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import type { Transaction } from "@db/pool";
import { LegacyNoRequestError } from "../errors.ts";
import { recordUse } from "../use.ts";

/** What belongs to one request, wherever its work goes. */
export interface RequestContext {
  readonly requestId: string;
  readonly userId: string | undefined;
  readonly startedAt: Date;
  /** The transaction around the handler, where `transactionMiddleware` made one. */
  readonly transaction: Transaction | undefined;
  /** For the product's own facts. */
  readonly values: Map<string, unknown>;
}

/** The part of an HTTP request that is read: that of Express, Fastify's `raw` and `node:http` fit. */
export interface IncomingRequest {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly user?: { readonly id?: string | number };
}

export type NextFunction = (error?: unknown) => unknown;

const storage = new AsyncLocalStorage<RequestContext>();

/** Middleware that gives each request its context. The id comes from `x-request-id`, or is made. */
export function requestContext(): (request: IncomingRequest, response: unknown, next: NextFunction) => void {
  recordUse("requestContext");
  return (request, _response, next) => {
    const given = request.headers["x-request-id"];
    const id = request.user?.id;
    const requestId = typeof given === "string" && given !== "" ? given : randomUUID();
    storage.run(newContext(requestId, id === undefined ? undefined : String(id)), next);
  };
}

/** Runs `work` in a context of its own, for jobs that no request began. */
export function runWithRequestContext<T>(
  given: { readonly requestId?: string; readonly userId?: string },
  work: () => T,
): T {
  recordUse("runWithRequestContext");
  return storage.run(newContext(given.requestId ?? randomUUID(), given.userId), work);
}

/** The context of the request in progress. @throws {LegacyNoRequestError} outside of one */
export function getRequestContext(): RequestContext {
  recordUse("getRequestContext");
  const context = currentContext();
  if (!context) throw new LegacyNoRequestError();
  return context;
}

/** Without counting a use. */
export function currentContext(): RequestContext | undefined {
  return storage.getStore();
}

/** Runs `work` with a transaction in the context of the request, or in a context made for it. */
export function withTransactionContext<T>(transaction: Transaction | undefined, work: () => T): T {
  return storage.run({ ...(storage.getStore() ?? newContext(randomUUID(), undefined)), transaction }, work);
}

function newContext(requestId: string, userId: string | undefined): RequestContext {
  return { requestId, userId, startedAt: new Date(), transaction: undefined, values: new Map() };
}
