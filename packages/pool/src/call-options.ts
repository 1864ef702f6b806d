import { consistencies, type Consistency } from "./consistency.ts";
import { InvalidCallOptionsError } from "./errors.ts";
import { show } from "./option-checks.ts";
import type { Target } from "./routing.ts";
import type { TransactionOptions } from "./transaction.ts";
import { priorities, type Priority } from "./wait-queue.ts";

/** What a single call may ask for, whatever the call. */
interface CallOptions extends Pick<TransactionOptions, "isolation" | "readOnly" | "deferrable" | "retries"> {
  readonly target?: Target | undefined;
  readonly timeoutMs?: number | false | undefined;
  readonly priority?: Priority | undefined;
  readonly consistency?: Consistency | undefined;
}

const targets: readonly Target[] = ["primary", "replica", "any"];
const isolations: readonly TransactionOptions["isolation"][] = ["read committed", "repeatable read", "serializable"];

/** Why these options of one call cannot be followed: an isolation is part of a statement, a target nobody has no server. */
export function refusalOf(options: CallOptions): InvalidCallOptionsError | undefined {
  const { target, timeoutMs, priority, consistency, isolation, retries } = options;
  const problems: string[] = [];
  oneOf(problems, "target", target, targets);
  oneOf(problems, "priority", priority, priorities);
  oneOf(problems, "consistency", consistency, consistencies);
  oneOf(problems, "isolation", isolation, isolations);
  if (timeoutMs !== undefined && timeoutMs !== false && !isBound(timeoutMs)) {
    problems.push(`timeoutMs is ${show(timeoutMs)}, not a number above 0 to 2147483647, Infinity or false`);
  }
  if (retries !== undefined && !(retries >= 0)) problems.push(`retries is ${show(retries)}, not a number from 0`);
  if (options.readOnly === false && (target === "replica" || target === "any")) {
    problems.push(`readOnly is false, but target is "${target}"`);
  }
  if (options.deferrable === true && (options.readOnly === false || (isolation ?? "serializable") !== "serializable")) {
    problems.push('deferrable is true, which needs readOnly and isolation "serializable"');
  }
  return problems.length === 0 ? undefined : new InvalidCallOptionsError(problems);
}

function oneOf(problems: string[], name: string, value: unknown, among: readonly unknown[]): void {
  if (value === undefined || among.includes(value)) return;
  problems.push(`${name} is ${show(value)}, not one of ${among.join(", ")}`);
}

function isBound(value: unknown): boolean {
  return typeof value === "number" && value > 0 && (value < 2 ** 31 || value === Infinity);
}
