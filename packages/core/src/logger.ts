/** What may stand beside a log message. Never secrets and never SQL values. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A structured logger; `pino` fits as it is. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  child(fields: LogFields): Logger;
}

const nothing = (): void => undefined;

/** Says nothing: the default everywhere. */
export const noLogger: Logger = Object.freeze({
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => noLogger,
});
