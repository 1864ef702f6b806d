/** A list of whole numbers for each of n owners, laid end to end: small and quick for millions. */
export interface Grouped {
  readonly total: number;
  /** The values of one owner, from `start(owner)` up to but not including `start(owner + 1)`. */
  start(owner: number): number;
  value(position: number): number;
}

/** Calls `fill` for each owner in turn; what it pushes is that owner's list. */
export function grouped(owners: number, fill: (owner: number, push: (value: number) => void) => void): Grouped {
  const starts = new Uint32Array(owners + 1);
  const values: number[] = [];
  const push = (value: number): void => {
    values.push(value);
  };
  for (let owner = 0; owner < owners; owner++) {
    fill(owner, push);
    starts[owner + 1] = values.length;
  }
  return { total: values.length, start: (owner) => starts[owner]!, value: (position) => values[position]! };
}
