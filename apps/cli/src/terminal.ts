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

// Without a terminal: how long silence has to last before a phase says that it goes on, and how often it may.
const quietMs = 3_000;
const everyMs = 10_000;

/**
 * Data goes to stdout, everything else to stderr. A terminal gets one live line; a pipe hears of a phase only when
 * nothing else was printed for three seconds, then at most every ten seconds, never frames.
 */
export class Terminal {
  readonly #options: TerminalOptions;
  #live = false;
  #lastPhase = "";
  // Of anything printed, and of progress alone.
  #lastLineAt = Date.now();
  #lastProgressAt = 0;
  #phaseStartedAt = 0;
  #wait: NodeJS.Timeout | undefined;

  constructor(options: TerminalOptions) {
    this.#options = options;
  }

  get form(): OutputForm {
    return this.#options.form;
  }

  /** Writes the result. */
  data(text: string): void {
    this.#line(this.#options.stdout, text);
  }

  /** Draws a whole screen over the last one; into a pipe one after the other. */
  frame(text: string): void {
    const { stdout } = this.#options;
    if (!stdout.isTTY) return this.data(`${text}\n`);
    this.clearLive();
    // Home, then each line with what was right of it, then what was below: no flicker, and no scrollback lost.
    stdout.write(`\u001B[H${text.replaceAll("\n", "\u001B[K\n")}\u001B[K\n\u001B[J`);
  }

  /** Says something to the person in front of it; silent with `--quiet`, an event with `stream-json`. */
  say(message: string): void {
    if (this.#options.form === "stream-json") return this.event("log", { message });
    if (this.#options.quiet || this.#options.form === "json") return;
    this.#line(this.#options.stderr, message);
  }

  /** Says something that `--quiet` does not silence. */
  warn(message: string): void {
    if (this.#options.form === "stream-json") return this.event("log", { level: "warn", message });
    if (this.#options.form === "json") return;
    this.#line(this.#options.stderr, `${this.paint("yellow", "warning:")} ${message}`);
  }

  /** Says what went wrong, already worded. */
  problem(text: string): void {
    this.#line(this.#options.stderr, text);
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
      if (changed || now - this.#lastProgressAt >= 500) {
        this.#lastProgressAt = now;
        this.event("progress", { ...progress, etaSeconds: this.#etaSeconds(progress, now) });
      }
    } else if (!this.#options.quiet && this.#options.form === "text") {
      if (this.#options.stderr.isTTY) this.#drawLive(progress, now);
      else {
        if (changed) this.#lastProgressAt = 0;
        this.#tellLater(progress, now);
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
    if (now - this.#lastProgressAt < 100) return;
    this.#lastProgressAt = now;
    this.#live = true;
    this.#options.stderr.write(`\r\u001B[K  ${this.#describe(progress, now).slice(0, 110)}`);
  }

  // A phase may be long and report nothing but its start: a timer, not the next report, decides when to tell of it.
  #tellLater(progress: Progress, now: number): void {
    clearTimeout(this.#wait);
    const due = Math.max(this.#lastLineAt + quietMs, this.#phaseStartedAt + quietMs, this.#lastProgressAt + everyMs);
    this.#wait = setTimeout(
      () => {
        const at = Date.now();
        this.#lastProgressAt = at;
        this.#options.stderr.write(`  … ${this.#describe(progress, at)}\n`);
        this.#tellLater(progress, at);
      },
      Math.max(0, due - now),
    );
    this.#wait.unref();
  }

  // A line printed ends what was waiting to be told: its phase is over, or reports again.
  #line(stream: NodeJS.WritableStream, text: string): void {
    this.clearLive();
    clearTimeout(this.#wait);
    this.#lastLineAt = Date.now();
    stream.write(text.endsWith("\n") ? text : `${text}\n`);
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
