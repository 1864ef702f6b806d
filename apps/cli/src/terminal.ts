import { formatBytes, formatDuration, type OnProgress, type Progress } from "@db/core";

/** Where and how a command speaks. */
export type OutputForm = "text" | "json" | "stream-json";

export interface TerminalOptions {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly form: OutputForm;
  readonly quiet: boolean;
  readonly colors: boolean;
}

const everyMs = 10_000;

/**
 * Data goes to stdout, everything else to stderr. A terminal gets one live line; a pipe gets one line a phase, or
 * one every ten seconds, never frames.
 */
export class Terminal {
  readonly #options: TerminalOptions;
  #live = false;
  #lastPhase = "";
  #lastLineAt = 0;
  #phaseStartedAt = 0;

  constructor(options: TerminalOptions) {
    this.#options = options;
  }

  get form(): OutputForm {
    return this.#options.form;
  }

  /** Writes the result. */
  data(text: string): void {
    this.clearLive();
    this.#options.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
  }

  /** Says something to the person in front of it; silent with `--quiet`, an event with `stream-json`. */
  say(message: string): void {
    if (this.#options.form === "stream-json") return this.event("log", { message });
    if (this.#options.quiet || this.#options.form === "json") return;
    this.clearLive();
    this.#options.stderr.write(`${message}\n`);
  }

  /** Says something that `--quiet` does not silence. */
  warn(message: string): void {
    if (this.#options.form === "stream-json") return this.event("log", { level: "warn", message });
    if (this.#options.form === "json") return;
    this.clearLive();
    this.#options.stderr.write(`${this.paint("yellow", "warning:")} ${message}\n`);
  }

  /** Says what went wrong, already worded. */
  problem(text: string): void {
    this.clearLive();
    this.#options.stderr.write(`${text}\n`);
  }

  /** One NDJSON event; nothing in the other forms. */
  event(type: "start" | "progress" | "log" | "result" | "error", fields: object): void {
    if (this.#options.form === "stream-json")
      this.#options.stdout.write(`${JSON.stringify({ type, at: new Date().toISOString(), ...fields })}\n`);
  }

  /** Shows progress; hand it to any long job. */
  readonly progress: OnProgress = (progress) => {
    const now = Date.now();
    if (progress.phase !== this.#lastPhase) this.#phaseStartedAt = now;
    const changed = progress.phase !== this.#lastPhase;
    this.#lastPhase = progress.phase;
    if (this.#options.form === "stream-json") {
      if (changed || now - this.#lastLineAt >= 500) {
        this.#lastLineAt = now;
        this.event("progress", { ...progress, etaSeconds: this.#etaSeconds(progress, now) });
      }
    } else if (!this.#options.quiet && this.#options.form === "text") {
      if (this.#options.stderr.isTTY) this.#drawLive(progress, now);
      else if (changed || now - this.#lastLineAt >= everyMs) {
        this.#lastLineAt = now;
        this.#options.stderr.write(`  … ${this.#describe(progress, now)}\n`);
      }
    }
  };

  /** Removes the live line, if there is one. */
  clearLive(): void {
    if (!this.#live) return;
    this.#live = false;
    this.#options.stderr.write("\r\u001B[K");
  }

  paint(color: "green" | "yellow" | "red" | "dim" | "bold", text: string): string {
    if (!this.#options.colors) return text;
    const codes = { green: [32, 39], yellow: [33, 39], red: [31, 39], dim: [2, 22], bold: [1, 22] } as const;
    const [on, off] = codes[color];
    return `\u001B[${on}m${text}\u001B[${off}m`;
  }

  #drawLive(progress: Progress, now: number): void {
    if (now - this.#lastLineAt < 100) return;
    this.#lastLineAt = now;
    this.#live = true;
    this.#options.stderr.write(`\r\u001B[K  ${this.#describe(progress, now).slice(0, 110)}`);
  }

  #describe(progress: Progress, now: number): string {
    const show = (value: number): string =>
      progress.unit === "bytes" ? formatBytes(value) : value.toLocaleString("en");
    const share =
      progress.total === undefined || progress.total === 0
        ? ""
        : ` ${Math.min(100, Math.floor((progress.current / progress.total) * 100))} %`;
    const amount =
      progress.total === undefined ? show(progress.current) : `${show(progress.current)} of ${show(progress.total)}`;
    const eta = this.#etaSeconds(progress, now);
    return `${progress.message ?? progress.phase}${share}  ${amount}${progress.unit === "bytes" ? "" : ` ${progress.unit}`}${eta === null ? "" : `, ${formatDuration(eta * 1_000)} left`}`;
  }

  #etaSeconds(progress: Progress, now: number): number | null {
    const elapsed = now - this.#phaseStartedAt;
    if (progress.total === undefined || progress.current <= 0 || elapsed < 2_000) return null;
    return Math.max(0, Math.round(((elapsed / progress.current) * (progress.total - progress.current)) / 1_000));
  }
}
