import type { Pool } from "@db/pool";
import { expect } from "vitest";

/** Writers on a pool, each writing one row after another under an id nobody else uses, into a table with an `id`. */
export class Writers {
  readonly acknowledged: number[] = [];
  readonly failures: string[] = [];
  readonly #stop = new AbortController();
  readonly #pool: Pool;
  readonly #table: string;
  readonly #running: Promise<void>[];
  #next = 0;

  constructor(pool: Pool, table: string, count = 10) {
    this.#pool = pool;
    this.#table = table;
    this.#running = Array.from({ length: count }, () => this.#write());
  }

  async #write(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const id = (this.#next += 1);
      try {
        await this.#pool.query(`insert into ${this.#table} values ($1)`, [id]);
        this.acknowledged.push(id);
      } catch (error) {
        this.failures.push((error as { code?: string }).code ?? String(error));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  /** Resolves when a row that was begun from now on is acknowledged. */
  async resume(): Promise<void> {
    const from = this.#next;
    await expect.poll(() => this.acknowledged.some((id) => id > from), { timeout: 90_000 }).toBe(true);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  /** Every row that was acknowledged is there, and none is there twice. */
  async check(pool: Pool): Promise<void> {
    const { rows } = await pool.query<{ id: number }>(`select id from ${this.#table}`);
    const present = new Map<number, number>();
    for (const { id } of rows) present.set(id, (present.get(id) ?? 0) + 1);
    expect(this.acknowledged.filter((id) => !present.has(id))).toEqual([]);
    expect(Array.from(present).filter(([, times]) => times > 1)).toEqual([]);
  }

  /** How many rows were acknowledged, and how many failed with which code. */
  get summary(): { readonly acknowledged: number; readonly failures: Readonly<Record<string, number>> } {
    const failures: Record<string, number> = {};
    for (const code of this.failures) failures[code] = (failures[code] ?? 0) + 1;
    return { acknowledged: this.acknowledged.length, failures };
  }
}
