import type { Logger } from "@db/core";
import { pino } from "pino";

/**
 * The log of a command: JSON lines on stderr, silent unless asked for, since what went wrong is the command's answer.
 * One that stays up logs errors: nobody is there to be answered.
 */
export function createLog(
  stderr: NodeJS.WritableStream,
  options: { readonly verbose: boolean; readonly debug: boolean; readonly staysUp: boolean },
): Logger {
  return pino(
    { level: options.debug ? "debug" : options.verbose ? "info" : options.staysUp ? "error" : "silent", base: null },
    stderr as NodeJS.WriteStream,
  );
}
