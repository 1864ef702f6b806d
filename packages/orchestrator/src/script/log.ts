import { type LogFields, type Logger, redactUrls } from "@db/core";

const levels = { debug: 20, info: 30, warn: 40, error: 50 } as const;

/** JSON lines, one a message: `time`, `level`, what stands beside the message, `msg`. Addresses lose their passwords. */
export function createLineLogger(
  stream: NodeJS.WritableStream,
  { verbose, fields = {} }: { readonly verbose: boolean; readonly fields?: LogFields },
): Logger {
  const write =
    (level: keyof typeof levels) =>
    (beside: LogFields, message: string): void => {
      if (!verbose && levels[level] < levels.warn) return;
      const line = { time: new Date().toISOString(), level, ...fields, ...beside, msg: message };
      stream.write(`${redactUrls(JSON.stringify(line, readable))}\n`);
    };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    child: (more) => createLineLogger(stream, { verbose, fields: { ...fields, ...more } }),
  };
}

/** Errors and bigints are not empty objects and exceptions. */
function readable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (!(value instanceof Error)) return value;
  const { name, message } = value;
  return { ...(value as object), name, message };
}
