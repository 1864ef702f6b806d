import type { Logger } from "@db/core";
import { pino } from "pino";

/** The log of a command: JSON lines on stderr, warnings only unless more was asked for. */
export function createLog(
  stderr: NodeJS.WritableStream,
  options: { readonly verbose: boolean; readonly debug: boolean },
): Logger {
  return pino(
    { level: options.debug ? "debug" : options.verbose ? "info" : "error", base: null },
    stderr as NodeJS.WriteStream,
  );
}
