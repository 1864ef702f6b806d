import { ObjectNotFoundError, type Storage } from "@db/backup";

/** What is wrong with one object of a storage, or with two. */
export type Damage =
  | { readonly kind: "flip"; readonly key: string; readonly at: number; readonly bit: number }
  | { readonly kind: "truncate"; readonly key: string; readonly length: number }
  | { readonly kind: "append"; readonly key: string; readonly byte: number }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "swap"; readonly key: string; readonly other: string };

/** A storage that gives one object damaged, and stays whole itself. */
export function damagedStorage(storage: Storage, damage: Damage): Storage {
  const gone = (key: string): boolean => damage.kind === "delete" && key === damage.key;
  const stored = (key: string): string => {
    if (damage.kind !== "swap") return key;
    return key === damage.key ? damage.other : key === damage.other ? damage.key : key;
  };
  return {
    ...storage,
    list: async function* (prefix, options) {
      const keys: string[] = [];
      for await (const object of storage.list("", options)) if (!gone(object.key)) keys.push(object.key);
      for await (const object of storage.list("", options)) {
        const { key } = object;
        if (gone(key) || !key.startsWith(prefix)) continue;
        const sizeBytes = damage.kind === "swap" ? await sizeOf(storage, stored(key)) : object.sizeBytes;
        if (key !== damage.key) yield { ...object, sizeBytes };
        else if (damage.kind === "truncate") yield { ...object, sizeBytes: damage.length };
        else yield { ...object, sizeBytes: damage.kind === "append" ? sizeBytes + 1 : sizeBytes };
      }
    },
    read: async function* (key, options) {
      if (gone(key)) throw new ObjectNotFoundError(`${key} is not in the repository`);
      if (key !== damage.key || damage.kind === "swap") {
        yield* storage.read(stored(key), options);
        return;
      }
      const whole = await wholeOf(storage, key);
      if (damage.kind === "truncate") yield whole.subarray(0, damage.length);
      else if (damage.kind === "append") yield Buffer.concat([whole, Buffer.from([damage.byte])]);
      else if (damage.kind === "flip") {
        whole[damage.at]! ^= 1 << damage.bit;
        yield whole;
      }
    },
  };
}

async function wholeOf(storage: Storage, key: string): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of storage.read(key)) parts.push(part);
  return Buffer.concat(parts);
}

async function sizeOf(storage: Storage, wanted: string): Promise<number> {
  for await (const { key, sizeBytes } of storage.list(wanted)) if (key === wanted) return sizeBytes;
  return 0;
}

/** mulberry32: the same damage in every run. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Damages any object in any way; half of it are single bits. */
export function randomDamage(
  objects: readonly { readonly key: string; readonly sizeBytes: number }[],
  random: (below: number) => number,
): Damage {
  const { key, sizeBytes } = objects[random(objects.length)]!;
  const kind = (["flip", "flip", "flip", "flip", "truncate", "delete", "swap", "append"] as const)[random(8)]!;
  if (kind === "flip") return { kind, key, at: random(sizeBytes), bit: random(8) };
  if (kind === "truncate") return { kind, key, length: random(sizeBytes) };
  if (kind === "append") return { kind, key, byte: random(256) };
  if (kind === "delete") return { kind, key };
  const others = objects.filter((other) => other.key !== key);
  return { kind, key, other: others[random(others.length)]!.key };
}
