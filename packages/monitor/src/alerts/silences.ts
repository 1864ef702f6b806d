import { type Clock, type Logger, messageOf } from "@db/core";
import type { Alert } from "./event.ts";
import type { AlertRule } from "./rule.ts";
import { type Silence, silenceOf, type SilenceRequest, type SilenceStore, toSilence } from "./silence.ts";

export interface SilencesOptions {
  readonly silences: SilenceStore;
  readonly rules: readonly AlertRule[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What a monitor knows of its store of silences. A store that is away leaves what was known. */
export class Silences {
  readonly #options: SilencesOptions;
  #known: readonly Silence[] = [];
  /** Acknowledgements whose alert was seen here: the end of what was never seen is not for this process to tell. */
  readonly #seen = new Set<string>();
  #reading: Promise<void> | undefined;
  /** Grows with every change made here: what was read before one is old. */
  #changes = 0;
  readonly #ending = new Set<Promise<unknown>>();

  constructor(options: SilencesOptions) {
    this.#options = options;
  }

  get now(): readonly Silence[] {
    const now = this.#options.clock.now();
    return this.#known.filter(({ until }) => now < Date.parse(until));
  }

  async add(request: SilenceRequest): Promise<Silence> {
    const { silences, rules, clock } = this.#options;
    const silence = toSilence(request, { rules: rules.map(({ name }) => name), now: clock.now() });
    await silences.add(silence);
    this.#changes += 1;
    this.#known = [...this.#known, silence];
    return silence;
  }

  async remove(id: string): Promise<boolean> {
    const removed = await this.#options.silences.remove(id);
    this.#changes += 1;
    this.#known = this.#known.filter((silence) => silence.id !== id);
    return removed;
  }

  /** Reads the store; one reading at a time. */
  refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  /** Ends acknowledgements whose alert has ended. */
  endWith(alerts: readonly Alert[]): void {
    const now = this.#options.clock.now();
    for (const silence of this.#known.filter(({ endsWithAlert }) => endsWithAlert)) {
      if (alerts.some((alert) => silenceOf([silence], alert, now))) this.#seen.add(silence.id);
      else if (this.#seen.delete(silence.id)) this.#end(silence.id);
    }
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await Promise.all([this.#reading, ...this.#ending]);
  }

  async #read(): Promise<void> {
    const { silences, clock, logger } = this.#options;
    try {
      let changes;
      do {
        changes = this.#changes;
        const read = await silences.read(clock.now());
        if (changes === this.#changes) this.#known = read;
      } while (changes !== this.#changes);
    } catch (error) {
      logger.warn({ reason: messageOf(error) }, "the silences could not be read");
    }
  }

  #end(id: string): void {
    const ending = this.remove(id).catch((error: unknown) =>
      this.#options.logger.warn({ reason: messageOf(error) }, "an acknowledgement could not be ended"),
    );
    this.#ending.add(ending);
    void ending.finally(() => this.#ending.delete(ending));
  }
}
