import { inspect } from "node:util";

/**
 * A value that is never shown by accident: printing, templates, `JSON.stringify` and `util.inspect` give a redacted
 * form, and only `reveal()` gives the value.
 */
export class Secret {
  static {
    // Defined here, because a computed name in the class would need the type of Node's symbol in its declaration.
    Object.defineProperty(Secret.prototype, inspect.custom, {
      value(this: Secret): string {
        return `Secret(${this.#shown})`;
      },
    });
  }

  readonly #value: string;
  readonly #shown: string;

  /** `shown` stands in for the value: a URL without its password, or `***`. */
  constructor(value: string, shown = "***") {
    this.#value = value;
    this.#shown = shown;
    Object.freeze(this);
  }

  /** The value itself. Hand it straight to what needs it; keep it out of messages. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return this.#shown;
  }

  toJSON(): string {
    return this.#shown;
  }

  [Symbol.toPrimitive](): string {
    return this.#shown;
  }
}
