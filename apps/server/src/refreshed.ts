/** A value kept fresh in the background: whoever asks gets the last one at once. */
export interface Refreshed<T> {
  /** The last value; waits at most `firstWaitMs` for the very first. `undefined` while there is none. */
  get(): Promise<T | undefined>;
  /** The last value, as it is. */
  readonly known: T | undefined;
}

/**
 * Asks `compute` again when the value is older than `maxAgeMs`, one call at a time. A failure keeps the last value:
 * a page of a minute ago, with its age on it, beats no page. What is older than `keepMs` counts as none.
 */
export function refreshed<T>(
  compute: () => Promise<T>,
  options: {
    readonly maxAgeMs: number;
    readonly firstWaitMs: number;
    readonly keepMs?: number;
    readonly onError: (error: unknown) => void;
  },
): Refreshed<T> {
  const { maxAgeMs, firstWaitMs, keepMs = Infinity, onError } = options;
  let last: { readonly value: T; readonly at: number } | undefined;
  let pending: Promise<void> | undefined;
  const refresh = (): Promise<void> => {
    pending ??= (async () => {
      try {
        last = { value: await compute(), at: performance.now() };
      } catch (error) {
        onError(error);
      } finally {
        pending = undefined;
      }
    })();
    return pending;
  };
  const current = (): T | undefined =>
    last === undefined || performance.now() - last.at > keepMs ? undefined : last.value;
  return {
    async get() {
      const age = last === undefined ? Infinity : performance.now() - last.at;
      if (age > maxAgeMs) {
        const work = refresh();
        // A value far past its time is waited for like the first one.
        if (age > maxAgeMs * 3) await Promise.race([work, after(firstWaitMs)]);
      }
      return current();
    },
    get known() {
      return current();
    },
  };
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
