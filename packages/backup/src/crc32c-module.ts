/** Where the module's memory has what; 128 KiB in all. */
export const tableAt = (index: number): number => index * 1024;
export const shiftTableAt: number = 8 * 1024;
export const windowAt: number = 16 * 1024;
/** Most bytes of one call of `update`. */
export const windowBytes: number = 96 * 1024;
/** Three stretches of this length are walked side by side, because one lookup waits for the one before. */
export const laneBytes = 1024;

// The checksum is a remainder of a division by a polynomial G, so a multiple of G may be added to the bytes as one likes.
// 1 + x^14 + x^39 + x^54 + x^144 + x^209 is one, and so is its 128th power, whose terms are whole words of 16 bytes
// apart. Added once for every word, in order, it makes all words zero but the last 209: five exclusive ors a word, with
// nothing to look up. The numbers are the distances from the word that becomes zero to those it is added to.
const foldedWords = [65, 155, 170, 195, 209] as const;
const wordBytes = 16;
const reachBytes = foldedWords[4] * wordBytes;
/** Below this, folding is not worth its tail. */
const leastFolded = 3 * reachBytes;

/**
 * Assembles the WebAssembly module: `memory`, and `update(at, length, crc)` over bytes of it, which it overwrites; the
 * bytes before `windowAt` are zeros as far as folding reaches. What is left after folding goes eight bytes a step by eight
 * tables, in three lanes. Written out here, and not stored as a blob, so that everybody can read what runs.
 * @see https://webassembly.github.io/spec/core/binary/
 * @see https://arxiv.org/abs/2412.16398 for folding by a sparse multiple
 */
export function crc32cModule(): Uint8Array<ArrayBuffer> {
  const section = (id: number, body: readonly number[]): number[] => [id, ...unsigned(body.length), ...body];
  const name = (text: string): number[] => [text.length, ...Buffer.from(text)];
  const code = (locals: readonly number[], body: readonly number[]): number[] => {
    const whole = [...locals, ...body, op.end];
    return [...unsigned(whole.length), ...whole];
  };
  return Uint8Array.from([
    ...header,
    // Two types: (i32) -> i32 and (i32, i32, i32) -> i32.
    ...section(1, [2, 0x60, 1, i32, 1, i32, 0x60, 3, i32, i32, i32, 1, i32]),
    ...section(3, [2, 0, 1]),
    ...section(5, [1, 0, 2]),
    ...section(7, [2, ...name("memory"), 2, 0, ...name("update"), 0, 1]),
    ...section(10, [2, ...code([0], shift()), ...code([2, 7, i32, 1, i64], update())]),
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
  equal: 0x46,
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
// Vector instructions have two bytes.
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

/** The checksum after a lane of zeros. */
function shift(): Code {
  const terms = [0, 1, 2, 3].map((byte) => load(entryOf(get(0), byte), shiftTableAt + byte * 1024));
  return xorAll(terms);
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
    ...whenAtLeast(leastFolded, fold()),
    ...whileFits(left, 3 * laneBytes, lanes),
    ...whileFits(left, 8, [...step(crc, get(at)), ...set(at, add(get(at), constant(8)))]),
    ...whileFits(left, 1, byte),
    ...get(crc),
  ];
}

/** Makes all words zero but the last ones, which stand for all of them, and goes on from there with a checksum of zero. */
function fold(): Code {
  const wordsEnd = add(get(at), and(get(length), -wordBytes));
  const start = [...get(at), ...xorAll([load(get(at), 0), get(crc)]), op.store, 2, 0];
  // Near the end, a word is added only to those that are there.
  const stretches = foldedWords.map((nearest, index) => foldUntil(foldedWords[4] - nearest, foldedWords.slice(index)));
  return [
    ...start,
    ...set(stop, wordsEnd),
    ...set(place, [...get(at), ...constant(reachBytes), op.subtract]),
    ...stretches.flat(),
    ...set(at, [...get(stop), ...constant(reachBytes), op.subtract]),
    ...set(crc, constant(0)),
  ];
}

/** Adds to each word those at `distances` before it, until `words` before the end. `place` is the farthest of them. */
function foldUntil(words: number, distances: readonly number[]): Code {
  const word = (distance: number): Code => [
    ...get(place),
    ...vector.load,
    4,
    ...unsigned((foldedWords[4] - distance) * wordBytes),
    ...(distance === 0 ? [] : vector.xor),
  ];
  const limit = [...get(stop), ...constant(reachBytes + words * wordBytes), op.subtract];
  const sum = [0, ...distances].flatMap(word);
  const body = [
    ...jumpIf(1, [...get(place), ...limit, op.notLess]),
    ...get(place),
    ...sum,
    ...vector.store,
    4,
    ...unsigned(reachBytes),
    ...set(place, add(get(place), constant(wordBytes))),
  ];
  return [op.block, empty, op.loop, empty, ...body, op.jump, 0, op.end, op.end];
}

/** Runs `body` once if `length` is at least `least`. */
function whenAtLeast(least: number, body: Code): Code {
  return [op.block, empty, ...jumpIf(0, [...get(length), ...constant(least), op.less]), ...body, op.end];
}

/** Repeats `body` as long as at least `needed` bytes are left. */
function whileFits(left: Code, needed: number, body: Code): Code {
  const enough = [...left, ...constant(needed), op.notLess];
  return [
    op.block,
    empty,
    op.loop,
    empty,
    ...enough,
    ...constant(0),
    op.equal,
    op.jumpIf,
    1,
    ...body,
    op.jump,
    0,
    op.end,
    op.end,
  ];
}

function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  if (value >= -0x40 && value < 0x40) return [value & 0x7f];
  return [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
