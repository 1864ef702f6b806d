import { AbortedError, type Clock, isDbError, systemClock } from "@db/core";
import { isInfrastructureError } from "./classify.ts";
import type { QueryOptions } from "./engine.ts";
import { InvalidCacheOptionsError, OfflineError } from "./errors.ts";
import { freezeRows, sizeOfRows } from "./cached-rows.ts";

/** How much is kept, and for how long. */
export interface QueryCacheOptions {
  /** An answer older than this is asked for again. Default 30 000. */
  readonly ttlMs?: number;
  /** While the database is away, answers up to this old are given instead. Default `false`: none. */
  readonly offlineMs?: number | false;
  /** Most answers kept; the least recently used goes first. Default 1 000. */
  readonly maxEntries?: number;
  /** Most memory for their rows, estimated. Default 16 MiB. An answer larger than a quarter of it is not kept. */
  readonly maxBytes?: number;
  readonly clock?: Clock;
}

/** How one question is asked and its answer kept. */
export interface CachedQueryOptions extends QueryOptions {
  /** Replaces the cache's `ttlMs`; 0 asks again each time, and still serves while the database is away. */
  readonly ttlMs?: number;
  /** What its answer is about: `["bill", "bill:7"]`. Invalidated together. */
  readonly about?: readonly string[];
  /** Names the answer in place of its text and values. */
  readonly key?: string;
}

/** An answer, and where it came from. Its rows are shared with other callers, and frozen. */
export interface CachedAnswer<Row> {
  readonly rows: readonly Readonly<Row>[];
  /** `offline`: the database is away, and this is the last good answer. */
  readonly source: "database" | "cache" | "offline";
  /** How long ago the database gave it. */
  readonly ageMs: number;
}

/** What is to be forgotten. */
export type Invalidation = { readonly about: string | readonly string[] } | { readonly key: string };

/** Counts since the cache was made, and what it holds now. Plain data. */
export interface QueryCacheStats {
  readonly hits: number;
  readonly misses: number;
  /** Callers who waited for the same question another caller had asked. */
  readonly joined: number;
  readonly offlineAnswers: number;
  readonly evictions: number;
  readonly invalidations: number;
  readonly entries: number;
  /** Estimated. */
  readonly bytes: number;
}

interface Entry {
  readonly rows: readonly object[];
  readonly at: number;
  readonly bytes: number;
  readonly about: readonly string[];
}

interface Flight {
  readonly about: readonly string[];
  readonly answer: Promise<Entry>;
  readonly abort: AbortController;
  callers: number;
  /** False once it was invalidated: its callers get it, nobody else. */
  current: boolean;
}

/** What the cache asks: a pool, a view of it, a session. */
export interface CacheSource {
  query(
    text: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<{ readonly rows: readonly object[] }>;
}

/**
 * Keeps the answers to reads. Nothing is guessed: an answer is fresh until its time is over or until it is invalidated,
 * and callers who ask the same at the same time share one question.
 */
export class QueryCache {
  readonly #source: CacheSource;
  readonly #options: Required<QueryCacheOptions>;
  readonly #entries = new Map<string, Entry>();
  readonly #flights = new Map<string, Flight>();
  #bytes = 0;
  readonly #counts = { hits: 0, misses: 0, joined: 0, offlineAnswers: 0, evictions: 0, invalidations: 0 };

  constructor(source: CacheSource, options: Required<QueryCacheOptions>) {
    this.#source = source;
    this.#options = options;
  }

  /**
   * Answers from memory while the answer is fresh, and asks otherwise.
   * @throws {OfflineError} when the database is away and no answer is recent enough; otherwise as the pool's `query`
   */
  async query<Row extends object = Record<string, unknown>>(
    text: string,
    values: readonly unknown[] = [],
    options: CachedQueryOptions = {},
  ): Promise<CachedAnswer<Row>> {
    const { ttlMs = this.#options.ttlMs, signal } = options;
    const key = keyOf(text, values, options);
    const kept = this.#entries.get(key);
    if (kept && this.#ageOf(kept) < ttlMs) {
      this.#counts.hits += 1;
      this.#touch(key, kept);
      return this.#answer(kept, "cache");
    }
    try {
      return this.#answer<Row>(await this.#ask(key, text, values, options), "database");
    } catch (error) {
      if (signal?.aborted || !isAway(error)) throw error;
      return this.#offline(key, error);
    }
  }

  /** Forgets answers, and those under way: who asks afterwards gets what the database says then. */
  invalidate(of: Invalidation): void {
    this.#counts.invalidations += 1;
    if ("key" in of) {
      const own = (key: string): boolean => key === of.key || key.startsWith(`${of.key}\0`);
      this.#forget((key) => own(key));
      return;
    }
    const about = new Set(typeof of.about === "string" ? [of.about] : of.about);
    this.#forget((_, entry) => entry.about.some((each) => about.has(each)));
  }

  /** Forgets everything: after a gap in what was to invalidate it, say. */
  clear(): void {
    this.#counts.invalidations += 1;
    this.#forget(() => true);
  }

  stats(): QueryCacheStats {
    return { ...this.#counts, entries: this.#entries.size, bytes: this.#bytes };
  }

  async #ask(key: string, text: string, values: readonly unknown[], options: CachedQueryOptions): Promise<Entry> {
    const known = this.#flights.get(key);
    if (known) this.#counts.joined += 1;
    else this.#counts.misses += 1;
    const flight = known ?? this.#fly(key, text, values, options);
    flight.callers += 1;
    const { signal } = options;
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = (): void =>
      reject(new AbortedError("aborted while waiting for an answer", { cause: signal?.reason }));
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort();
    try {
      return await Promise.race([flight.answer, promise]);
    } finally {
      signal?.removeEventListener("abort", abort);
      flight.callers -= 1;
      // Nobody waits any more: the server need not go on.
      if (flight.callers === 0) flight.abort.abort(signal?.reason);
    }
  }

  #fly(key: string, text: string, values: readonly unknown[], options: CachedQueryOptions): Flight {
    const { ttlMs: _ttl, about = [], key: _key, signal: asked, ...query } = options;
    const abort = new AbortController();
    // Only a caller who can give up makes the statement one that can be cancelled.
    const bounds = asked === undefined ? {} : { signal: abort.signal };
    const answer = this.#source.query(text, values, { ...query, ...bounds }).then(({ rows }) => {
      const bytes = sizeOfRows(rows);
      const entry: Entry = { rows: freezeRows(rows), at: this.#options.clock.now(), bytes, about };
      if (flight.current) this.#keep(key, entry);
      return entry;
    });
    const flight: Flight = { about, answer, abort, callers: 0, current: true };
    this.#flights.set(key, flight);
    const landed = (): void => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    answer.then(landed, landed);
    return flight;
  }

  #offline<Row>(key: string, cause: unknown): CachedAnswer<Row> {
    const { offlineMs } = this.#options;
    const last = this.#entries.get(key);
    if (offlineMs !== false && last && this.#ageOf(last) <= offlineMs) {
      this.#counts.offlineAnswers += 1;
      return this.#answer(last, "offline");
    }
    if (offlineMs === false) throw cause;
    throw new OfflineError({ lastAnswerAgeMs: last && this.#ageOf(last), offlineMs, cause });
  }

  #answer<Row>(entry: Entry, source: CachedAnswer<Row>["source"]): CachedAnswer<Row> {
    return { rows: entry.rows as unknown as readonly Readonly<Row>[], source, ageMs: this.#ageOf(entry) };
  }

  #ageOf({ at }: Entry): number {
    return Math.max(0, this.#options.clock.now() - at);
  }

  #touch(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  #keep(key: string, entry: Entry): void {
    this.#drop(key);
    const { maxBytes, maxEntries } = this.#options;
    if (entry.bytes > maxBytes / 4) return;
    this.#entries.set(key, entry);
    this.#bytes += entry.bytes;
    while (this.#entries.size > maxEntries || this.#bytes > maxBytes) {
      this.#drop(this.#entries.keys().next().value!);
      this.#counts.evictions += 1;
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }

  #forget(concerns: (key: string, of: { readonly about: readonly string[] }) => boolean): void {
    for (const [key, entry] of this.#entries) if (concerns(key, entry)) this.#drop(key);
    for (const [key, flight] of this.#flights) {
      if (!concerns(key, flight)) continue;
      flight.current = false;
      this.#flights.delete(key);
    }
  }
}

/**
 * Makes a cache of answers beside a pool.
 * @throws {InvalidCacheOptionsError} with every option that cannot be
 */
export function createQueryCache(source: CacheSource, options: QueryCacheOptions = {}): QueryCache {
  const resolved: Required<QueryCacheOptions> = {
    ttlMs: options.ttlMs ?? 30_000,
    offlineMs: options.offlineMs ?? false,
    maxEntries: options.maxEntries ?? 1_000,
    maxBytes: options.maxBytes ?? 16 * 1_024 * 1_024,
    clock: options.clock ?? systemClock,
  };
  const problems = (["ttlMs", "offlineMs", "maxEntries", "maxBytes"] as const)
    .filter((name) => !(resolved[name] === false && name === "offlineMs") && !((resolved[name] as number) >= 0))
    .map((name) => `${name} is ${String(resolved[name])}, not a number from 0`);
  if (resolved.offlineMs !== false && resolved.offlineMs < resolved.ttlMs) {
    problems.push(`offlineMs (${resolved.offlineMs}) is below ttlMs (${resolved.ttlMs})`);
  }
  if (problems.length > 0) throw new InvalidCacheOptionsError(problems);
  return new QueryCache(source, resolved);
}

/** Settings are part of it: what one tenant may see is not another's answer. */
function keyOf(text: string, values: readonly unknown[], { key, settings, target }: CachedQueryOptions): string {
  const own =
    key ?? JSON.stringify([text, values], (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
  const scope =
    settings || target === "primary"
      ? JSON.stringify([settings && Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1)), target])
      : "";
  return scope === "" ? own : `${own}\0${scope}`;
}

/** True when it is the database that is away, not the question that is wrong. */
function isAway(error: unknown): boolean {
  const away = ["POOL_NO_PRIMARY", "POOL_NO_REPLICA", "POOL_CIRCUIT_OPEN", "POOL_TOPOLOGY_REFUSED"];
  return away.some((code) => isDbError(error, code)) || isInfrastructureError(error);
}
