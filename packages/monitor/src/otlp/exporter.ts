import {
  type Clock,
  type Logger,
  messageOf,
  noLogger,
  redactUrls,
  type Service,
  type ServiceHealth,
  systemClock,
} from "@db/core";
import { OtlpPushError } from "../errors.ts";
import type { Snapshot } from "../snapshot.ts";
import { toOtlp } from "./payload.ts";

export interface OtlpExporterOptions {
  /** Where snapshots come from; a `Monitor` fits. */
  readonly source: { snapshot(): Snapshot };
  /** The receiver, with or without `/v1/metrics`: `http://localhost:4318`. */
  readonly url: string;
  /** Sent with every request, for instance an API key. Told to nobody. */
  readonly headers?: Readonly<Record<string, string>>;
  /** More attributes of the resource: `deployment.environment.name`. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** Pause between two pushes once started. Default 60 000. */
  readonly intervalMs?: number;
  /** Longest one push may take. Default 10 000. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** Pushes what a monitor knows to an OpenTelemetry receiver. */
export interface OtlpExporter extends Service {
  /**
   * Pushes once.
   * @returns how many data points the receiver refused
   * @throws {OtlpPushError} when it was not reached, or refused the request
   */
  push(): Promise<{ readonly rejected: number }>;
}

/** Makes an exporter over OTLP/HTTP with JSON. Nothing is sent before `push` or `start`. */
export function createOtlpExporter(options: OtlpExporterOptions): OtlpExporter {
  return new HttpExporter(options);
}

class HttpExporter implements OtlpExporter {
  readonly name = "otlp";
  readonly #options: OtlpExporterOptions;
  readonly #url: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #loop: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;
  #last: { readonly at: number; readonly error?: string } | undefined;

  constructor(options: OtlpExporterOptions) {
    this.#options = options;
    const url = options.url.replace(/\/$/, "");
    this.#url = url.endsWith("/v1/metrics") ? url : `${url}/v1/metrics`;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? noLogger;
  }

  async push(): Promise<{ readonly rejected: number }> {
    const { source, headers = {}, attributes = {}, timeoutMs = 10_000 } = this.#options;
    try {
      const response = await fetch(this.#url, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify(toOtlp(source.snapshot(), attributes)),
        signal: AbortSignal.timeout(timeoutMs),
      });
      const text = await response.text();
      if (!response.ok) throw new OtlpPushError({ reason: `it answered ${response.status}`, status: response.status });
      const rejected = rejectedIn(text);
      this.#last = { at: this.#clock.now() };
      if (rejected > 0) this.#logger.warn({ rejected }, "the receiver refused data points");
      return { rejected };
    } catch (error) {
      const failure =
        error instanceof OtlpPushError ? error : new OtlpPushError({ reason: reasonOf(error), cause: error });
      this.#last = { at: this.#clock.now(), error: failure.message };
      throw failure;
    }
  }

  async start(): Promise<void> {
    if (this.#loop) return;
    const stop = new AbortController();
    this.#loop = { stop, done: this.#run(stop.signal) };
  }

  async stop(): Promise<void> {
    const loop = this.#loop;
    this.#loop = undefined;
    loop?.stop.abort();
    await loop?.done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  health(): ServiceHealth {
    const status = this.#last?.error === undefined ? "pass" : "warn";
    const time = new Date(this.#last?.at ?? this.#clock.now()).toISOString();
    const output = this.#last?.error;
    return { status, checks: [{ name: "otlp:push", status, time, ...(output !== undefined && { output }) }] };
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // What one push does not tell the next one does: the numbers count from the beginning.
      await this.push().catch((error: unknown) =>
        this.#logger.warn({ reason: messageOf(error) }, "metrics were not pushed"),
      );
      try {
        await this.#clock.sleep(this.#options.intervalMs ?? 60_000, signal);
      } catch {
        return;
      }
    }
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return redactUrls(messageOf(cause));
}

function rejectedIn(text: string): number {
  try {
    const answer = JSON.parse(text) as { readonly partialSuccess?: { readonly rejectedDataPoints?: unknown } };
    return Number(answer.partialSuccess?.rejectedDataPoints ?? 0);
  } catch {
    // An empty answer is a full success.
    return 0;
  }
}
