/** Where the module's memory has what; what follows the window is free for whoever has bytes to be looked at. */
export const tableAt = (index: number): number => index * 1024;
export const shiftTableAt: number = 8 * 1024;
export const unreachTableAt: number = 12 * 1024;
/** The last words of what was folded, and room for the next ones behind them. */
const historyAt = 16 * 1024;
/** Three stretches of this length are walked side by side, because one lookup waits for the one before. */
export const laneBytes = 1024;

// The checksum is a remainder of a division by a polynomial G, so a multiple of G may be added to the bytes as one likes.
// 1 + x^14 + x^39 + x^54 + x^144 + x^209 is one, and so is its 128th power, whose terms are whole words of 16 bytes
// apart. Added once for every word, in order, it makes all words zero but 209 behind the last: five exclusive ors a word,
// with nothing to look up. The numbers are the distances from the word that becomes zero to those it is added to.
const foldedWords = [65, 155, 170, 195, 209] as const;
export const wordBytes = 16;
/** How far folding reaches: the words behind the last stand for everything before them. */
export const reachBytes: number = foldedWords[4] * wordBytes;
export const windowAt: number = historyAt + reachBytes;
/** Most bytes of one call of `fold`. */
export const windowBytes: number = 96 * 1024;
const pageBytes = 64 * 1024;
/** The words that stand for everything folded. */
const standInAt = windowAt + windowBytes;
/** Whole pages of WebAssembly's memory are in use before this. */
export const freeAt: number = 2 * pageBytes;

/**
 * Assembles the WebAssembly module, whose memory has that many bytes from `freeAt` on. Its functions:
 *
 * - `update(at, length, crc)`: the checksum after the bytes there, eight a step by eight tables, in three lanes;
 * - `fold(at, length, crc, fresh)`: takes whole words, of any place of the memory, after a checksum (`fresh` 1) or after
 *   what was folded before (`fresh` 0, `crc` 0);
 * - `finish()`: the checksum of all that was folded.
 *
 * Written out here, and not stored as a blob, so that everybody can read what runs.
 * @see https://webassembly.github.io/spec/core/binary/
 * @see https://arxiv.org/abs/2412.16398 for folding by a sparse multiple
 */
export function crc32cModule(freeBytes: number): Uint8Array<ArrayBuffer> {
  const section = (id: number, body: readonly number[]): number[] => [id, ...unsigned(body.length), ...body];
  const exported = (name: string, kind: number, index: number): number[] => [
    name.length,
    ...Buffer.from(name),
    kind,
    index,
  ];
  const type = (parameters: number, results: number): number[] => [0x60, ...ints(parameters), ...ints(results)];
  const ints = (count: number): number[] => [count, ...Array.from({ length: count }, () => i32)];
  const code = (locals: readonly number[], body: readonly number[]): number[] => {
    const whole = [...locals, ...body, op.end];
    return [...unsigned(whole.length), ...whole];
  };
  const pages = Math.ceil((freeAt + freeBytes) / pageBytes);
  return Uint8Array.from([
    ...header,
    ...section(1, [4, ...type(1, 1), ...type(3, 1), ...type(4, 0), ...type(0, 1)]),
    ...section(3, [5, 0, 0, 1, 2, 3]),
    ...section(5, [1, 1, ...unsigned(pages), ...unsigned(pages)]),
    ...section(7, [
      4,
      ...exported("memory", 2, 0),
      ...exported("update", 0, 2),
      ...exported("fold", 0, 3),
      ...exported("finish", 0, 4),
    ]),
    ...section(10, [
      5,
      ...code([0], lookedUp(shiftTableAt)),
      ...code([0], lookedUp(unreachTableAt)),
      ...code([2, 7, i32, 1, i64], update()),
      ...code([1, 4, i32], fold()),
      ...code([1, 6, i32], finish()),
    ]),
  ]);
}

const header = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const i32 = 0x7f;
const i64 = 0x7e;
const op = {
  block: 0x02,
  loop: 0x03,
  end: 0x0b,
  jump: 0x0c,
  jumpIf: 0x0d,
  call: 0x10,
  get: 0x20,
  set: 0x21,
  load: 0x28,
  load64: 0x29,
  store: 0x36,
  loadByte: 0x2d,
  constant: 0x41,
  constant64: 0x42,
  isZero: 0x45,
  less: 0x49,
  notLess: 0x4f,
  add: 0x6a,
  subtract: 0x6b,
  and: 0x71,
  xor: 0x73,
  shiftLeft: 0x74,
  shiftRight: 0x76,
  xor64: 0x85,
  shiftRight64: 0x88,
  wrap: 0xa7,
  extend: 0xad,
} as const;
// These have two bytes, and the memories they work on.
const memory = { copy: [0xfc, 10, 0, 0], fill: [0xfc, 11, 0] } as const;
const vector = { load: [0xfd, 0x00], store: [0xfd, 0x0b], xor: [0xfd, 0x51] } as const;
const empty = 0x40;
// The parameters of `update`, then its locals: three lanes' checksums, the two halves of a word.
const [at, length, crc] = [0, 1, 2];
const [end, second, third, stop, place, low, high, word] = [3, 4, 5, 6, 7, 8, 9, 10];

type Code = readonly number[];

const get = (local: number): Code => [op.get, local];
const set = (local: number, value: Code): Code => [...value, op.set, local];
const constant = (value: number): Code => [op.constant, ...signed(value)];
const add = (a: Code, b: Code): Code => [...a, ...b, op.add];
const and = (a: Code, mask: number): Code => [...a, ...constant(mask), op.and];
const load = (address: Code, offset: number): Code => [...address, op.load, 2, ...unsigned(offset)];

/** The terms one after the other, an exclusive or behind each but the first. */
const xorAll = (terms: readonly Code[]): Code =>
  terms.flatMap((term, index) => (index === 0 ? term : [...term, op.xor]));
const begin = (what: number): Code => [what, empty];
const jumpIf = (depth: number, condition: Code): Code => [...condition, op.jumpIf, depth];

/** The place of byte `index` of a word in a table of four-byte entries. */
function entryOf(source: Code, index: number): Code {
  const moved = index === 0 ? [...constant(2), op.shiftLeft] : [...constant(8 * index - 2), op.shiftRight];
  return and([...source, ...moved], 0x3fc);
}

/** What four tables, one for each byte, make of a checksum. */
function lookedUp(tables: number): Code {
  return xorAll([0, 1, 2, 3].map((byte) => load(entryOf(get(0), byte), tables + byte * 1024)));
}

/** Takes eight bytes at `address` into the checksum in `local`. */
function step(local: number, address: Code): Code {
  const halves = [low, high].flatMap((half, which) =>
    [0, 1, 2, 3].map((byte) => load(entryOf(get(half), byte), tableAt(7 - 4 * which - byte))),
  );
  return [
    ...set(word, [...address, op.load64, 3, 0, ...get(local), op.extend, op.xor64]),
    ...set(low, [...get(word), op.wrap]),
    ...set(high, [...get(word), op.constant64, 32, op.shiftRight64, op.wrap]),
    ...set(local, xorAll(halves)),
  ];
}

function update(): Code {
  const left = [...get(end), ...get(at), op.subtract];
  const joined = [...get(crc), op.call, 0, ...get(second), op.xor, op.call, 0, ...get(third), op.xor];
  const lanes = [
    ...set(second, constant(0)),
    ...set(third, constant(0)),
    ...set(stop, add(get(at), constant(laneBytes))),
    ...begin(op.loop),
    ...step(crc, get(at)),
    ...set(place, add(get(at), constant(laneBytes))),
    ...step(second, get(place)),
    ...set(place, add(get(at), constant(2 * laneBytes))),
    ...step(third, get(place)),
    ...set(at, add(get(at), constant(8))),
    ...jumpIf(0, [...get(at), ...get(stop), op.less]),
    op.end,
    ...set(crc, joined),
    ...set(at, add(get(at), constant(2 * laneBytes))),
  ];
  const entry = and([...get(crc), ...get(at), op.loadByte, 0, 0, op.xor], 0xff);
  const byte = [
    ...set(crc, [
      ...load([...entry, ...constant(2), op.shiftLeft], 0),
      ...get(crc),
      ...constant(8),
      op.shiftRight,
      op.xor,
    ]),
    ...set(at, add(get(at), constant(1))),
  ];
  return [
    ...set(end, add(get(at), get(length))),
    ...whileFits(left, 3 * laneBytes, lanes),
    ...whileFits(left, 8, [...step(crc, get(at)), ...set(at, add(get(at), constant(8)))]),
    ...whileFits(left, 1, byte),
    ...get(crc),
  ];
}

// The last parameter of `fold`, then locals of it: where it reads and writes words, and up to where.
const fresh = 3;
const [from, to, until] = [4, 5, 6];

/** Makes words zero one after the other, and keeps what was added up for each; the last of these are the next history. */
function fold(): Code {
  // The checksum of what came before is added to the first bytes, and taken away again.
  const addFirst = [...get(at), ...xorAll([load(get(at), 0), get(crc)]), op.store, 0, 0];
  const forget = [...constant(historyAt), ...constant(0), ...constant(reachBytes), ...memory.fill];
  return [
    ...addFirst,
    ...begin(op.block),
    ...jumpIf(0, [...get(fresh), op.isZero]),
    ...forget,
    op.end,
    ...set(from, get(at)),
    ...set(to, constant(historyAt)),
    ...set(until, add(constant(historyAt), get(length))),
    ...sumsOf(foldedWords, { from, to, until, ahead: reachBytes }),
    ...constant(historyAt),
    ...get(until),
    ...constant(reachBytes),
    ...memory.copy,
    ...addFirst,
  ];
}

/** The words behind the last, each the sum of those that reach it, and the checksum of these brought back by as far. */
function finish(): Code {
  const [to, until] = [0, 1];
  const stretches = foldedWords.flatMap((farthest, index) => [
    ...set(until, constant(historyAt + farthest * wordBytes)),
    ...sumsOf(foldedWords.slice(index), { to, until, ahead: standInAt - historyAt }),
  ]);
  return [
    ...set(to, constant(historyAt)),
    ...stretches,
    ...constant(standInAt),
    ...constant(reachBytes),
    ...constant(0),
    op.call,
    2,
    op.call,
    1,
  ];
}

/** Locals: where words are read, where the farthest word that is added lies, and where it does not lie any more. */
interface Walk {
  readonly from?: number;
  readonly to: number;
  readonly until: number;
  /** How far before the farthest word the sum goes. */
  readonly ahead: number;
}

/** Writes words one after the other: what is read, if anything is, and the words at `distances` before it added to it. */
function sumsOf(distances: readonly number[], { from, to, until, ahead }: Walk): Code {
  const read = from === undefined ? [] : [[...get(from), ...vector.load, 0, 0]];
  const before = distances.map((distance) => [
    ...get(to),
    ...vector.load,
    4,
    ...unsigned((foldedWords[4] - distance) * wordBytes),
  ]);
  const sum = [...read, ...before].flatMap((term, index) => (index === 0 ? term : [...term, ...vector.xor]));
  return [
    ...begin(op.block),
    ...begin(op.loop),
    ...jumpIf(1, [...get(to), ...get(until), op.notLess]),
    ...get(to),
    ...sum,
    ...vector.store,
    4,
    ...unsigned(ahead),
    ...(from === undefined ? [] : set(from, add(get(from), constant(wordBytes)))),
    ...set(to, add(get(to), constant(wordBytes))),
    op.jump,
    0,
    op.end,
    op.end,
  ];
}

/** Repeats `body` as long as at least `needed` bytes are left. */
function whileFits(left: Code, needed: number, body: Code): Code {
  const enough = [...left, ...constant(needed), op.notLess];
  return [op.block, empty, op.loop, empty, ...enough, op.isZero, op.jumpIf, 1, ...body, op.jump, 0, op.end, op.end];
}

function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  if (value >= -0x40 && value < 0x40) return [value & 0x7f];
  return [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
