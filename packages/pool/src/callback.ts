/**
 * Answers by callback for a promise, outside it, so that what the callback throws is the process's to see and not a
 * rejection nobody handles.
 */
export async function answer<T>(
  promise: Promise<T>,
  callback: (error: Error | undefined, value: T | undefined) => void,
): Promise<void> {
  let value: T;
  try {
    value = await promise;
  } catch (error) {
    process.nextTick(callback, error as Error, undefined);
    return;
  }
  process.nextTick(callback, undefined, value);
}
