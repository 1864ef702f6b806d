import { randomBytes } from "node:crypto";
import { hashOf } from "../scope.ts";
import type { ActionArguments } from "./action.ts";

/** A plan that somebody was shown. */
export interface AgreedPlan {
  readonly action: string;
  readonly args: ActionArguments;
  readonly subject: string;
  /** Hash of action, arguments, statements and what must still be so. */
  readonly hash: string;
  readonly expiresAt: number;
}

export type Redeemed = { readonly plan: AgreedPlan } | { readonly refused: "unknown" | "expired" | "another" };

const lastsMs = 5 * 60_000;
const mostOpen = 1_000;

/** Tokens of plans: each is for one action, its arguments and one subject, good once and for five minutes. */
export interface PlanTokens {
  issue(plan: Omit<AgreedPlan, "expiresAt">): { readonly token: string; readonly expiresAt: number };
  /** Takes a token, which is then used up, whatever comes of it. */
  redeem(
    token: string,
    by: { readonly action: string; readonly subject: string; readonly args: ActionArguments },
  ): Redeemed;
}

export function createPlanTokens(now: () => number = Date.now): PlanTokens {
  const open = new Map<string, AgreedPlan>();
  const key = (token: string): string => hashOf(token).toString("base64url");
  return {
    issue(plan) {
      for (const [id, { expiresAt }] of open) if (expiresAt <= now() || open.size >= mostOpen) open.delete(id);
      const token = randomBytes(32).toString("base64url");
      const expiresAt = now() + lastsMs;
      open.set(key(token), { ...plan, expiresAt });
      return { token, expiresAt };
    },
    redeem(token, { action, subject, args }) {
      const plan = open.get(key(token));
      if (!plan) return { refused: "unknown" };
      // Somebody else's token stays good for its owner: a guess must not be a way to use it up.
      if (plan.subject !== subject) return { refused: "unknown" };
      open.delete(key(token));
      if (plan.expiresAt <= now()) return { refused: "expired" };
      const same = Object.entries(args).every(([name, value]) => String(plan.args[name]) === String(value));
      return plan.action === action && same ? { plan } : { refused: "another" };
    },
  };
}

/** What a token stands for, in one value: text that differs wherever the plans differ. */
export function hashOfPlan(of: {
  readonly action: string;
  readonly args: ActionArguments;
  readonly sql: readonly string[];
  readonly identity: unknown;
}): string {
  const args = Object.entries(of.args).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return hashOf(JSON.stringify([of.action, args, of.sql, of.identity])).toString("hex");
}
