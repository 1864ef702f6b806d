import { type Clock, isDbError, type Logger, messageOf } from "@db/core";

/** One thing to store, to be tried until it is there. */
export interface Upload {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** What is no passing trouble: trying again would change nothing. */
const finalCodes = ["BACKUP_WAL_CONFLICT", "BACKUP_WAL_REJECTED", "BACKUP_MISSING_KEY", "BACKUP_WRONG_KEY"] as const;

/**
 * Stores one thing after the other, in order, and tries again with growing pauses when the repository is away; never
 * gives up by itself.
 */
export class UploadQueue {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;
  readonly #onFailure: (error: unknown) => void;
  readonly #queue: Upload[] = [];
  #working: Promise<void> | undefined;
  #failure: unknown;
  #trouble: unknown;

  constructor(clock: Clock, logger: Logger, signal: AbortSignal, onFailure: (error: unknown) => void) {
    this.#clock = clock;
    this.#logger = logger;
    this.#signal = signal;
    this.#onFailure = onFailure;
  }

  get length(): number {
    return this.#queue.length;
  }

  /** What ended the queue for good. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Why the last attempt did not store anything; undefined once one has. */
  get trouble(): unknown {
    return this.#trouble;
  }

  add(upload: Upload): void {
    this.#queue.push(upload);
    this.#working ??= this.#work().finally(() => (this.#working = undefined));
  }

  /** Resolves when all is stored, or the queue has ended. */
  async idle(): Promise<void> {
    while (this.#working) await this.#working;
  }

  async #work(): Promise<void> {
    let pause = 1_000;
    while (this.#queue.length > 0 && !this.#failure && !this.#signal.aborted) {
      const upload = this.#queue[0]!;
      try {
        await upload.run();
        this.#queue.shift();
        this.#trouble = undefined;
        pause = 1_000;
      } catch (error) {
        if (this.#signal.aborted) return;
        this.#trouble = error;
        if (finalCodes.some((code) => isDbError(error, code))) this.#failure = error;
        this.#onFailure(error);
        if (this.#failure) return;
        this.#logger.warn({ file: upload.name, error: messageOf(error), retryMs: pause }, "WAL is not stored yet");
        await this.#clock.sleep(pause, this.#signal).catch(() => undefined);
        pause = Math.min(30_000, pause * 2);
      }
    }
  }
}
