import { randomBytes } from "node:crypto";
import { type Credential, hashOf, type Scope } from "./scope.ts";

export const cookieName = "db_session";
const lastsMs = 12 * 3_600_000;
const mostSessions = 1_000;

export interface Session {
  readonly subject: string;
  readonly scope: Scope;
  readonly expiresAt: number;
}

/** Browsers that signed in, in memory: a restart signs everybody out. */
export interface Sessions {
  /** @returns the value of the cookie, and how long it is good for, seconds */
  open(credential: Credential): { readonly value: string; readonly seconds: number };
  find(value: string): Session | undefined;
  close(value: string): void;
}

export function createSessions(now: () => number = Date.now): Sessions {
  // By hash: whoever reads this process's memory dump gets no cookie from here.
  const open = new Map<string, Session>();
  const key = (value: string): string => hashOf(value).toString("base64url");
  return {
    open({ subject, scope }) {
      for (const [id, { expiresAt }] of open) if (expiresAt <= now() || open.size >= mostSessions) open.delete(id);
      const value = randomBytes(32).toString("base64url");
      open.set(key(value), { subject, scope, expiresAt: now() + lastsMs });
      return { value, seconds: lastsMs / 1_000 };
    },
    find(value) {
      const session = open.get(key(value));
      return session && session.expiresAt > now() ? session : undefined;
    },
    close: (value) => void open.delete(key(value)),
  };
}
