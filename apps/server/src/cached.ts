/** One value for everyone who asks within `maxAgeMs`, and one computation for everyone who asks at the same time. */
export function cached<T>(
  maxAgeMs: number,
  compute: () => Promise<T>,
  now: () => number = () => performance.now(),
): () => Promise<T> {
  let value: Promise<T> | undefined;
  let settledAt = -Infinity;
  let pending = false;
  return () => {
    if (value !== undefined && (pending || now() - settledAt < maxAgeMs)) return value;
    pending = true;
    value = compute().finally(() => {
      pending = false;
      settledAt = now();
    });
    // A failure is not kept: the next one to ask tries again.
    value.catch(() => {
      settledAt = -Infinity;
    });
    return value;
  };
}
