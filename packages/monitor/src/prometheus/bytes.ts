import { Buffer } from "node:buffer";

const bufferBytes = 65_536;
const newline = 10;
const space = 32;
const minus = 45;
const zero = 48;

/** The longest text of a number, with the space before it and the end of the line after it. */
const longestNumber = 32;

/** One text a row, as bytes: written once and copied into the line of every metric of the row. */
export interface RowTexts {
  readonly bytes: Buffer;
  /** Where the text of a row begins; one more than there are rows. */
  readonly starts: Uint32Array;
}

export function toRowTexts(texts: readonly string[]): RowTexts {
  const starts = new Uint32Array(texts.length + 1);
  for (let i = 0; i < texts.length; i++) starts[i + 1] = starts[i]! + Buffer.byteLength(texts[i]!);
  const bytes = Buffer.allocUnsafe(starts[texts.length]!);
  for (let i = 0; i < texts.length; i++) bytes.write(texts[i]!, starts[i]!);
  return { bytes, starts };
}

/**
 * Text on its way out, in a buffer of 64 kB that grows where nobody takes what is there. A line is put together from
 * bytes that are there already: of a hundred thousand short strings the garbage alone costs more than all else.
 */
export class ByteBuffer {
  #bytes = Buffer.allocUnsafe(bufferBytes);
  #length = 0;

  /** Whether so many bytes more would not fit: what is there has to be taken first. */
  isFullFor(bytes: number): boolean {
    return this.#length + bytes > this.#bytes.length;
  }

  /** So many bytes are there. */
  get length(): number {
    return this.#length;
  }

  /** What is there; it is overwritten by what is written after `clear`. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  /** What is there; it is overwritten by what is written next. */
  take(): Uint8Array {
    const taken = this.written;
    this.clear();
    return taken;
  }

  /** Makes room for so many bytes more. */
  reserve(bytes: number): void {
    if (this.isFullFor(bytes)) this.#grow(bytes);
  }

  /** A part of another one. */
  part(of: ByteBuffer, start: number, end: number): void {
    this.reserve(end - start);
    this.#length += of.#bytes.copy(this.#bytes, this.#length, start, end);
  }

  text(text: string): void {
    this.reserve(Buffer.byteLength(text));
    this.#length += this.#bytes.write(text, this.#length);
  }

  bytes(bytes: Buffer): void {
    this.reserve(bytes.length);
    this.#length += bytes.copy(this.#bytes, this.#length);
  }

  /** One line: name, labels of the row, value. There must be room for it: `sampleBytes`, `reserve`. */
  sample(name: Buffer, { bytes, starts }: RowTexts, row: number, value: number): void {
    const out = this.#bytes;
    let at = this.#length;
    at += name.copy(out, at);
    at += bytes.copy(out, at, starts[row]!, starts[row + 1]!);
    out[at++] = space;
    at = writeNumber(out, at, value);
    out[at++] = newline;
    this.#length = at;
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + bytes));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** The most bytes that the line of a row takes. */
export function sampleBytes(name: Buffer, { starts }: RowTexts, row: number): number {
  return name.length + starts[row + 1]! - starts[row]! + longestNumber;
}

function writeNumber(out: Uint8Array, start: number, value: number): number {
  let at = start;
  if (!Number.isSafeInteger(value)) {
    const text = numberText(value);
    for (let i = 0; i < text.length; i++) out[at++] = text.codePointAt(i)!;
    return at;
  }
  let left = value;
  if (left < 0) {
    out[at++] = minus;
    left = -left;
  }
  if (left < 10) {
    out[at++] = zero + left;
    return at;
  }
  // Digits come last first: they are written where the last one ends.
  let digits = 1;
  for (let power = 10; power <= left; power *= 10) digits += 1;
  const end = at + digits;
  for (let i = end - 1; i >= at; i--) {
    const rest = Math.floor(left / 10);
    out[i] = zero + (left - rest * 10);
    left = rest;
  }
  return end;
}

/** A number as both formats write it. */
export function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}
