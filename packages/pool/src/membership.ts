import { type Clock, type Logger, messageOf } from "@db/core";
import type { ProviderStats, TopologyMember, TopologyProvider } from "./topology-provider.ts";

/** Asks a provider again and again, and hands on what it says. */
export class Membership {
  readonly #provider: TopologyProvider;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #changed: (members: readonly TopologyMember[]) => void;
  readonly #ending = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #asking: Promise<void> | undefined;
  #answeredAt: number | undefined;
  #failure: string | undefined;

  constructor(of: {
    readonly provider: TopologyProvider;
    readonly clock: Clock;
    readonly logger: Logger;
    /** Told of every answer, whether or not it is new. */
    readonly changed: (members: readonly TopologyMember[]) => void;
  }) {
    this.#provider = of.provider;
    this.#clock = of.clock;
    this.#logger = of.logger;
    this.#changed = of.changed;
  }

  /** Asks now, or joins the question under way, and goes on asking. Never rejects. */
  ask(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  get stats(): ProviderStats {
    return {
      name: this.#provider.name,
      answeredAt: this.#answeredAt === undefined ? undefined : new Date(this.#answeredAt).toISOString(),
      failure: this.#failure,
    };
  }

  async end(): Promise<void> {
    this.#ending.abort();
    clearTimeout(this.#timer);
    await this.#asking;
  }

  async #ask(): Promise<void> {
    clearTimeout(this.#timer);
    const { signal } = this.#ending;
    try {
      const members = await this.#provider.members(signal);
      if (signal.aborted) return;
      if (members.length === 0) throw new Error("it knows no servers");
      this.#answeredAt = this.#clock.now();
      if (this.#failure !== undefined)
        this.#logger.info({ provider: this.#provider.name }, "the provider answers again");
      this.#failure = undefined;
      this.#changed(members);
    } catch (error) {
      if (signal.aborted) return;
      const failure = messageOf(error);
      if (this.#failure === undefined) {
        this.#logger.warn({ provider: this.#provider.name, error: failure }, "the provider does not answer");
      }
      this.#failure = failure;
    } finally {
      if (!signal.aborted) this.#timer = setTimeout(() => void this.ask(), this.#provider.intervalMs).unref();
    }
  }
}
