import type { OnProgress } from "@db/core";
import type { JsonSchema } from "../route-doc.ts";

export type ActionArguments = Readonly<Record<string, string | number | boolean>>;

/** What would be done, for somebody to read before they say yes. */
export interface ActionPlan {
  /** What it does, as a sentence about this very target: "Cancel the statement of session 4711". */
  readonly title: string;
  /** What is known of the target and of the consequences, a line each. */
  readonly facts: readonly string[];
  /** Statements that will run, exactly; empty where none does. */
  readonly sql: readonly string[];
  /** What must still be so when it is executed; another value by then refuses it. JSON. */
  readonly identity: unknown;
}

/** Something the server can be asked to do. It is planned, shown, and only then done. */
export interface AdminAction {
  /** `sessions.cancel`. */
  readonly name: string;
  /** Name in `adminActions` that turns it on. */
  readonly group: string;
  /** Below `/api/admin/`, with parameters: `sessions/:pid/cancel`. */
  readonly path: string;
  readonly scope: "operate" | "admin";
  readonly summary: string;
  /** Schema of the parameters in the path. */
  readonly params?: JsonSchema;
  /** Schema of the arguments that a plan takes beside them. */
  readonly body?: JsonSchema;
  /** @throws {ActionRefusedError} */
  plan(args: ActionArguments): Promise<ActionPlan>;
  /** Does it, and leaves one line in the audit trail. @returns what came of it, as JSON */
  execute(args: ActionArguments, run: ActionRun): Promise<unknown>;
}

/** Runs work so that the audit trail names whoever asked, and the plan they agreed to. */
export type Audited = <T>(run: ActionRun, work: () => Promise<T>) => Promise<T>;

export interface ActionRun {
  /** Who asked, for the audit trail. */
  readonly actor: string;
  /** Hash of the plan that was agreed to. */
  readonly plan: string;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
}
