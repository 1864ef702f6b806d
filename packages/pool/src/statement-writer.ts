import pg from "pg";

const slabBytes = 16_384;
const { prepareValue } = (
  pg as unknown as { utils: { prepareValue: (value: unknown) => string | Buffer | null | undefined } }
).utils;

const code = { parse: 0x50, bind: 0x42, close: 0x43 } as const;
// Describe the unnamed portal; execute it without a limit, then sync.
const describeBytes = Buffer.from([0x44, 0, 0, 0, 6, 0x50, 0]);
const executeBytes = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0x53, 0, 0, 0, 4]);

/**
 * Writes statements in PostgreSQL's extended protocol, any number of them into one piece of memory, so that they go to
 * the socket at once. Values become what pg makes of them.
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class StatementWriter {
  #slab = Buffer.allocUnsafe(slabBytes);
  /** Where what was not taken yet begins, and where the next byte goes. */
  #start = 0;
  #end = 0;

  /** A place to go back to when a statement cannot be written whole. */
  get mark(): number {
    return this.#end - this.#start;
  }

  set mark(mark: number) {
    this.#end = this.#start + mark;
  }

  /** Hands over what was written since the last time. It stays as it is; the writer goes on behind it. */
  take(): Buffer {
    const taken = this.#slab.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return taken;
  }

  parse(name: string, text: string): void {
    const began = this.#begin(code.parse);
    this.#cString(name);
    this.#cString(text);
    this.#int16(0);
    this.#finish(began);
  }

  close(name: string): void {
    const began = this.#begin(code.close);
    this.#reserve(1);
    this.#slab[this.#end++] = 0x53;
    this.#cString(name);
    this.#finish(began);
  }

  /** @throws whatever a value's own `toPostgres` throws */
  bind(name: string, values: readonly unknown[]): void {
    const began = this.#begin(code.bind);
    // The unnamed portal.
    this.#cString("");
    this.#cString(name);
    const { length } = values;
    this.#int16(length);
    const formats = this.#end - this.#start;
    this.#reserve(2 * length + 2);
    this.#slab.fill(0, this.#end, this.#end + 2 * length);
    this.#end += 2 * length;
    this.#int16(length);
    for (let index = 0; index < length; index += 1) {
      const value = values[index];
      const sent = typeof value === "string" ? value : typeof value === "number" ? String(value) : prepareValue(value);
      if (typeof sent === "string") this.#text(sent);
      else if (!sent) this.#int32(-1);
      else {
        this.#slab[this.#start + formats + 2 * index + 1] = 1;
        this.#bytes(sent);
      }
    }
    // Every column as text.
    this.#int16(0);
    this.#finish(began);
  }

  describe(): void {
    this.#reserve(describeBytes.length);
    this.#slab.set(describeBytes, this.#end);
    this.#end += describeBytes.length;
  }

  execute(): void {
    this.#reserve(executeBytes.length);
    this.#slab.set(executeBytes, this.#end);
    this.#end += executeBytes.length;
  }

  #begin(type: number): number {
    this.#reserve(5);
    this.#slab[this.#end] = type;
    this.#end += 5;
    return this.#end - this.#start;
  }

  #finish(began: number): void {
    this.#slab.writeInt32BE(this.#end - this.#start - began + 4, this.#start + began - 4);
  }

  #int16(value: number): void {
    this.#reserve(2);
    this.#slab[this.#end++] = value >>> 8;
    this.#slab[this.#end++] = value;
  }

  #int32(value: number): void {
    this.#reserve(4);
    this.#slab.writeInt32BE(value, this.#end);
    this.#end += 4;
  }

  #cString(text: string): void {
    this.#string(text);
    this.#reserve(1);
    this.#slab[this.#end++] = 0;
  }

  #text(text: string): void {
    this.#int32(0);
    const began = this.#end - this.#start;
    this.#string(text);
    this.#slab.writeInt32BE(this.#end - this.#start - began, this.#start + began - 4);
  }

  #bytes(bytes: Buffer): void {
    this.#int32(bytes.length);
    this.#reserve(bytes.length);
    this.#slab.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  #string(text: string): void {
    const { length } = text;
    this.#reserve(length > 256 ? Buffer.byteLength(text) : length * 3);
    const slab = this.#slab;
    let at = this.#end;
    // Short texts are written faster here than by a call out of JavaScript.
    if (length <= 32) {
      let index = 0;
      for (; index < length; index += 1) {
        const unit = text.charCodeAt(index);
        if (unit > 0x7f) break;
        slab[at++] = unit;
      }
      if (index === length) {
        this.#end = at;
        return;
      }
    }
    this.#end += slab.write(text, this.#end, "utf8");
  }

  #reserve(bytes: number): void {
    if (this.#slab.length - this.#end >= bytes) return;
    const pending = this.#end - this.#start;
    const next = Buffer.allocUnsafe(Math.max(slabBytes, 2 * (pending + bytes)));
    this.#slab.copy(next, 0, this.#start, this.#end);
    this.#slab = next;
    this.#start = 0;
    this.#end = pending;
  }
}
