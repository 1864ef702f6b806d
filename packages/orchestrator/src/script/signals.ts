import { ScriptInterruptedError } from "../errors.ts";

const names = ["SIGINT", "SIGTERM"] as const;

/**
 * Runs `use` with a signal that Ctrl-C and SIGTERM fire, with a `ScriptInterruptedError`. The second of either ends the
 * process as it always does.
 */
export async function withProcessSignals<T>(
  process: NodeJS.Process,
  use: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => stop.abort(new ScriptInterruptedError(name));
  for (const name of names) process.once(name, onSignal);
  try {
    return await use(stop.signal);
  } finally {
    for (const name of names) process.off(name, onSignal);
  }
}
