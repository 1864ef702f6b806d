import type { MainJobReport } from "@db/orchestrator";
import { CannotConnectError, UnsuitableServerError } from "./errors.ts";

/**
 * Lets a main job that never reached its database end like any other command that did not.
 * @throws {CannotConnectError} or {@link UnsuitableServerError} with what the step said
 */
export function requireConnected({ steps }: MainJobReport): void {
  const connect = steps.find(({ name }) => name === "connect");
  if (connect?.status !== "failed") return;
  const hint = connect.hint === null ? {} : { hint: connect.hint };
  if (connect.facts["code"] === "ORCHESTRATOR_UNSUPPORTED_SERVER")
    throw new UnsuitableServerError(connect.detail, hint);
  throw new CannotConnectError(connect.detail, hint);
}
