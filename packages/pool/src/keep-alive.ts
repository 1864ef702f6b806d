/**
 * Keeps the process running until the promise settles. Probes let the process end, so whoever waits for what they
 * find must hold it.
 */
export async function keepAlive<T>(promise: Promise<T>): Promise<T> {
  const hold = setInterval(() => undefined, 2 ** 30);
  try {
    return await promise;
  } finally {
    clearInterval(hold);
  }
}
