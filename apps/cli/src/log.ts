import { type Logger, noLogger } from "@db/core";

/**
 * The log of a command: JSON lines on stderr, silent unless asked for, since what went wrong is the command's answer.
 * One that stays up logs errors: nobody is there to be answered.
 */
export async function createLog(
  stderr: NodeJS.WritableStream,
  options: { readonly verbose: boolean; readonly debug: boolean; readonly staysUp: boolean },
): Promise<Logger> {
  const level = options.debug ? "debug" : options.verbose ? "info" : options.staysUp ? "error" : null;
  if (level === null) return noLogger;
  const { pino } = await import("pino");
  const log: Logger = pino({ level, base: null }, stderr as NodeJS.WriteStream);
  return log;
}
