/** A value kept fresh in the background: whoever asks gets the last one at once. */
export interface Refreshed<T> {
  /** The last value; waits at most `firstWaitMs` for the very first. `undefined` while there is none. */
  get(): Promise<T | undefined>;
}

/**
 * Asks `compute` again when the value is older than `maxAgeMs`, one call at a time. A failure keeps the last value:
 * a page of a minute ago, with its age on it, beats no page.
 */
export function refreshed<T>(
  compute: () => Promise<T>,
  options: { readonly maxAgeMs: number; readonly firstWaitMs: number; readonly onError: (error: unknown) => void },
): Refreshed<T> {
  let last: { readonly value: T; readonly at: number } | undefined;
  let pending: Promise<void> | undefined;
  const refresh = (): Promise<void> => {
    pending ??= (async () => {
      try {
        last = { value: await compute(), at: performance.now() };
      } catch (error) {
        options.onError(error);
      } finally {
        pending = undefined;
      }
    })();
    return pending;
  };
  return {
    async get() {
      const stale = last === undefined || performance.now() - last.at > options.maxAgeMs;
      if (stale) {
        const work = refresh();
        if (last === undefined) await Promise.race([work, after(options.firstWaitMs)]);
      }
      return last?.value;
    },
  };
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
