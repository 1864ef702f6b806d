import type { LogFields, Logger } from "@db/core";

/** The log of a script: the message comes first, as it did. */
export interface ScriptLogger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  success(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Says how far it is. */
  progress(current: number, total: number, message?: string): void;
}

export function createScriptLogger(
  logger: Logger,
  progress: (done: number, total: number, message?: string) => void,
): ScriptLogger {
  return {
    debug: (message, fields = {}) => logger.debug(fields, message),
    info: (message, fields = {}) => logger.info(fields, message),
    success: (message, fields = {}) => logger.info({ ...fields, outcome: "success" }, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
    progress: (current, total, message) => progress(current, total, message),
  };
}
