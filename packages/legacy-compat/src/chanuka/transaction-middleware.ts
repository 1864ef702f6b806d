import { once } from "node:events";
import type { Transaction } from "@db/pool";
import { recordUse } from "../use.ts";
import { processManager } from "./connection-manager.ts";
import { type IncomingRequest, type NextFunction, withTransactionContext } from "./request-context.ts";

/** The part of an HTTP response that is watched: that of Express and `node:http` fit. */
export interface OutgoingResponse extends NodeJS.EventEmitter {
  readonly statusCode: number;
  /** Called to answer; held back until the transaction has ended. */
  end(...args: never[]): unknown;
}

/**
 * Runs a handler in one transaction: committed when it returns, rolled back when it throws, and that error thrown on.
 * Repositories and `getRequestContext().transaction` work in it.
 */
export function withRequestTransaction<A extends readonly unknown[], T>(
  handler: (...args: A) => Promise<T>,
): (...args: A) => Promise<T> {
  recordUse("withRequestTransaction");
  return (...args) => processManager().transaction((tx) => withTransactionContext(tx, () => handler(...args)));
}

/** A response that asked for a rollback. */
class AnsweredWithError extends Error {}

/**
 * Middleware that puts a transaction around what comes after it. The answer is sent when the transaction has ended: a
 * status below 400 commits, any other and a connection that closes early roll back. A failed COMMIT goes to `next`.
 */
export function transactionMiddleware(): (
  request: IncomingRequest,
  response: OutgoingResponse,
  next: NextFunction,
) => Promise<void> {
  recordUse("transactionMiddleware");
  return async (_request, response, next) => {
    const end = response.end.bind(response);
    const restore = (): void => void Object.assign(response, { end });
    let answer: never[] | undefined;
    try {
      await processManager().transaction(async (tx) => {
        await answered(response, tx, next, (args) => (answer = args));
        if (answer === undefined || response.statusCode >= 400) throw new AnsweredWithError();
      });
    } catch (error) {
      restore();
      if (!(error instanceof AnsweredWithError)) {
        next(error);
        return;
      }
    }
    restore();
    if (answer) end(...answer);
  };
}

/** Waits until the handler answers, or the caller goes away. */
async function answered(
  response: OutgoingResponse,
  tx: Transaction,
  next: NextFunction,
  keep: (args: never[]) => void,
): Promise<void> {
  const gone = new AbortController();
  const closed = once(response, "close", { signal: gone.signal }).catch(() => undefined);
  const ended = new Promise<void>((done) => {
    Object.assign(response, {
      end: (...args: never[]) => {
        keep(args);
        done();
        return response;
      },
    });
  });
  try {
    const handled = withTransactionContext(tx, () => next());
    await Promise.race([ended, closed, Promise.resolve(handled).then(() => new Promise<never>(() => undefined))]);
  } finally {
    gone.abort();
  }
}
