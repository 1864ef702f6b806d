import { redactUrls } from "@db/core";
import { Secret } from "./secret.ts";

const mask = "***";

/** A shorter secret is not searched for: replacing every "a" of a message would hide the message, not the secret. */
const shortestSearched = 4;

/**
 * A text without the given secrets, also in their percent-encoded and JSON-escaped forms, and without the password
 * of any connection string in it.
 */
export function redactText(text: string, secrets: Iterable<Secret | string> = []): string {
  let redacted = text;
  for (const form of formsOf(secrets)) redacted = redacted.replaceAll(form, mask);
  return redactUrls(redacted);
}

/**
 * Takes the given secrets out of an error in place: message, stack, causes, aggregated errors and every own text
 * field (a driver's `detail`, a parser's `input`). Returns the same error; a frozen one comes back as a new `Error`.
 */
export function redactError<E>(error: E, secrets: Iterable<Secret | string> = []): E {
  return redactValue(error, [...secrets], new Set()) as E;
}

function redactValue(value: unknown, secrets: readonly (Secret | string)[], seen: Set<object>): unknown {
  if (typeof value === "string") return redactText(value, secrets);
  if (typeof value !== "object" || value === null || value instanceof Secret || seen.has(value)) return value;
  seen.add(value);
  for (const key of Reflect.ownKeys(value)) {
    const descriptor = Object.getOwnPropertyDescriptor(value, key)!;
    const old = readProperty(value, key);
    const redacted = redactValue(old, secrets, seen);
    if (redacted === old) continue;
    if (descriptor.configurable === true) {
      Object.defineProperty(value, key, {
        value: redacted,
        enumerable: descriptor.enumerable ?? false,
        configurable: true,
        writable: true,
      });
    } else if (!Reflect.set(value, key, redacted)) {
      return replacement(value, secrets);
    }
  }
  return value;
}

/** V8 makes `stack` an accessor in some versions; a getter that throws must not hide the error being reported. */
function readProperty(value: object, key: PropertyKey): unknown {
  try {
    return Reflect.get(value, key);
  } catch {
    return undefined;
  }
}

function replacement(value: object, secrets: readonly (Secret | string)[]): unknown {
  const message = value instanceof Error ? value.message : "an object that could not be redacted";
  const error = new Error(redactText(message, secrets));
  if (value instanceof Error) error.name = value.name;
  return error;
}

function formsOf(secrets: Iterable<Secret | string>): string[] {
  const forms = new Set<string>();
  for (const secret of secrets) {
    const value = typeof secret === "string" ? secret : secret.reveal();
    for (const form of [
      value,
      value.trim(),
      encode(value),
      encodeURI(value.toWellFormed()),
      JSON.stringify(value).slice(1, -1),
    ]) {
      if (form.length >= shortestSearched) forms.add(form);
    }
  }
  return [...forms].toSorted((a, b) => b.length - a.length);
}

function encode(value: string): string {
  return encodeURIComponent(value.toWellFormed());
}
