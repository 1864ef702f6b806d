/** One signal out of a caller's and a bound. Disposed, it leaves no timer and no listener behind. */
export class Deadline implements Disposable {
  readonly signal: AbortSignal | undefined;
  /** True when the bound passed, rather than the caller's signal. */
  expired = false;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #detach: () => void = () => undefined;

  constructor(
    of: string,
    {
      signal: outer,
      timeoutMs = false,
    }: { readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number | false | undefined },
  ) {
    this.signal = outer;
    if (timeoutMs === false || !Number.isFinite(timeoutMs)) return;
    const controller = new AbortController();
    const relay = (): void => controller.abort(outer?.reason);
    if (outer?.aborted) relay();
    outer?.addEventListener("abort", relay, { once: true });
    this.#detach = () => outer?.removeEventListener("abort", relay);
    const reason = `${of} took longer than ${timeoutMs} ms`;
    this.#timer = setTimeout(() => {
      this.expired = true;
      controller.abort(new DOMException(reason, "TimeoutError"));
    }, timeoutMs);
    this.signal = controller.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#detach();
  }
}
