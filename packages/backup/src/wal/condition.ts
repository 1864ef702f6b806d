import { AbortedError } from "@db/core";

/** Lets callers wait until something is so; whoever changes what may make it so, wakes them. */
export class Condition {
  readonly #watchers = new Set<() => void>();

  wake(): void {
    for (const watcher of this.#watchers) watcher();
  }

  /** Resolves once `holds` does. @throws {AbortedError} */
  until(holds: () => boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (holds()) done(resolve);
        else if (signal?.aborted)
          done(() => reject(new AbortedError("the wait was aborted", { cause: signal.reason })));
      };
      const done = (settle: () => void): void => {
        this.#watchers.delete(look);
        signal?.removeEventListener("abort", look);
        settle();
      };
      this.#watchers.add(look);
      signal?.addEventListener("abort", look);
      look();
    });
  }
}
