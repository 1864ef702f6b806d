import { isConnectionError, type Logger, messageOf, type Queryable, redactUrls } from "@db/core";
import type { CollectContext, Collected, CollectLimits, Collector, CollectorRun } from "./collector.ts";
import { findDatabases, watch, type WatchedDatabase } from "./databases.ts";
import { CollectTimeoutError, UnsupportedServerError } from "./errors.ts";
import { mergeFacts } from "./fact-merge.ts";
import type { Facts } from "./facts.ts";
import type { RowsOf } from "./live.ts";
import { LiveStatements } from "./live-statements.ts";
import { monitorDefaults, type ResolvedMonitorOptions, type ResolvedTarget } from "./options.ts";
import { collectors } from "./registry.ts";
import { statementMark } from "./redact.ts";
import { isLive, isoTimes, type Live, type Run, toBlock } from "./run.ts";
import { selfBlock } from "./self.ts";
import type { Row } from "./rows.ts";
import { isStill, type SessionIdentity, stillSql, withLimits } from "./session.ts";
import type { Block, ServerSnapshot } from "./snapshot.ts";
import { WaitSampler } from "./waits/sampler.ts";
import { WaitRing } from "./waits/waits.ts";

const oldestVersionNum = 120_000;

/** A scraper that comes every five seconds comes now and then a little early. */
const unhurriedMs = 4_500;

/** One server being watched: runs what is due on it and keeps the last answer of every collector. */
export class Target {
  readonly name: string;
  /** The one it was made for first, then others of the server. */
  #databases: readonly WatchedDatabase[];
  readonly #connect: ResolvedTarget["connectDatabase"];
  #soughtAt: number | undefined;
  readonly #options: ResolvedMonitorOptions;
  readonly #logger: Logger;
  readonly #expectedStandbys: number;
  readonly #waits: WaitRing;
  readonly #sampler: WaitSampler;
  #collectors: readonly Collector[] = [];
  #runs: readonly Run[] = [];
  /** The runs by their collectors, as long as they are the same. */
  #grouped: { readonly of: readonly Run[]; readonly groups: readonly (readonly Run[])[] } = { of: [], groups: [] };
  #identity: SessionIdentity | undefined;
  #up = false;
  #error: string | undefined;
  readonly #live = new LiveStatements();
  /** What live collectors ask together, by the names of those that are due. */
  readonly #asked = new Map<string, readonly string[]>();
  #scrapes = 0;
  #durationMs = 0;
  /** A session that was given up and has not ended yet; while there is one, no other is opened. */
  #abandoned: Promise<unknown> | undefined;

  constructor(target: ResolvedTarget, options: ResolvedMonitorOptions, expectedStandbys: number) {
    this.name = target.name;
    this.#databases = target.databases.map(watch);
    this.#connect = target.connectDatabase;
    this.#options = options;
    this.#expectedStandbys = expectedStandbys;
    this.#logger = options.logger.child({ server: target.name });
    this.#waits = new WaitRing(options.waits === false ? monitorDefaults.waits : options.waits);
    this.#sampler = new WaitSampler({
      db: plannedOn(this.#databases[0]!),
      ring: this.#waits,
      // A server that is down is asked by the next collection, and by nobody else.
      version: () => (this.#up && this.#identity ? Math.floor(this.#identity.versionNum / 10_000) : undefined),
      clock: options.clock,
      logger: this.#logger,
    });
  }

  /**
   * Runs the collectors that are due. A server that does not answer is down, not an error.
   * @throws {UnsupportedServerError}
   */
  async collect({ force }: { readonly force: boolean }): Promise<void> {
    const startedAt = performance.now();
    this.#scrapes += 1;
    try {
      const [first, ...given] = this.#databases.filter(({ found }) => found === undefined);
      await this.#visit(first!, force);
      for (const database of given) await this.#visit(database, force);
      await this.#visitFound(force);
      if (!this.#up) this.#logger.info({}, "the server answers");
      this.#up = true;
      this.#error = undefined;
    } catch (error) {
      if (error instanceof UnsupportedServerError) throw error;
      const reason = redactUrls(messageOf(error));
      if (this.#up || this.#error !== reason) this.#logger.warn({ reason }, "the server does not answer");
      this.#up = false;
      this.#error = reason;
    } finally {
      this.#durationMs = performance.now() - startedAt;
    }
  }

  /** The short answer, for health checks: no block is looked at. */
  status(): { readonly up: boolean; readonly durationMs: number } {
    return { up: this.#up, durationMs: this.#durationMs };
  }

  /** What sampling of its active sessions has seen. */
  get waits(): WaitRing {
    return this.#waits;
  }

  /** Samples active sessions until the signal fires. */
  sampleWaits(signal: AbortSignal): Promise<void> {
    return this.#options.waits === false
      ? Promise.resolve()
      : this.#sampler.run(this.#options.waits.intervalMs, signal);
  }

  /** What is known, with ages as of `now`. */
  snapshot(now: number): ServerSnapshot {
    const isoOf = isoTimes();
    const blocks: Block[] = [];
    for (const runs of this.#byCollector()) {
      let everyMs = 0;
      for (const run of runs) everyMs = Math.max(everyMs, this.#everyMs(run));
      blocks.push(toBlock(runs, now, everyMs, isoOf));
    }
    const learned: Partial<Facts>[] = [];
    for (const { collected } of this.#runs) if (collected?.facts) learned.push(collected.facts);
    const facts = mergeFacts(learned);
    const self = selfBlock({
      asOf: new Date(now).toISOString(),
      up: this.#up,
      scrapes: this.#scrapes,
      durationMs: this.#durationMs,
      expectedStandbys: this.#expectedStandbys,
      blocks,
    });
    return {
      name: this.name,
      up: this.#up,
      role: this.#identity === undefined ? "unknown" : this.#identity.standby ? "standby" : "primary",
      versionNum: this.#identity?.versionNum ?? 0,
      durationMs: this.#durationMs,
      ...(this.#error !== undefined && { error: this.#error }),
      blocks: [self, ...blocks],
      facts: { ...facts, ...(this.#identity && { identity: toIdentity(this.#identity) }) },
    };
  }

  /** Runs of one collector on several databases are one block. */
  #byCollector(): readonly (readonly Run[])[] {
    if (this.#grouped.of !== this.#runs) {
      const groups = [...Map.groupBy(this.#runs, ({ collector }) => collector.name).values()];
      this.#grouped = { of: this.#runs, groups };
    }
    return this.#grouped.groups;
  }

  /** Databases that the server told of: one that cannot be visited leaves its values old, and the server up. */
  async #visitFound(force: boolean): Promise<void> {
    const now = this.#options.clock.now();
    for (const database of this.#databases.filter(({ found }) => found !== undefined)) {
      const runs = this.#runs.filter((run) => run.database === database);
      if (!force && !runs.some((run) => this.#isDue(run, now))) continue;
      try {
        await this.#visit(database, force);
      } catch (error) {
        for (const run of runs) Object.assign(run, { attemptedAt: now, error: redactUrls(messageOf(error)) });
        this.#logger.warn({ database: database.found, reason: messageOf(error) }, "a database cannot be visited");
        // The next one would wait as long.
        if (this.#abandoned) return;
      }
    }
  }

  async #visit(database: WatchedDatabase, force: boolean): Promise<void> {
    if (this.#abandoned)
      throw new CollectTimeoutError({ server: this.name, timeoutMs: this.#options.collectTimeoutMs });
    const { collectTimeoutMs } = this.#options;
    let expire: (error: Error) => void = () => undefined;
    let expired: Error | undefined;
    const expiry = new Promise<never>((_, reject) => {
      expire = reject;
    });
    expiry.catch(() => undefined);
    const timer = setTimeout(() => {
      expired = new CollectTimeoutError({ server: this.name, timeoutMs: collectTimeoutMs });
      expire(expired);
    }, collectTimeoutMs);
    let work: Promise<void> = Promise.resolve();
    const visit = database.db.withSession(async (session) => {
      if (expired) throw expired;
      work = this.#use(session, database, force);
      work.catch(() => undefined);
      // Throwing while the statement hangs makes a pool destroy the connection instead of lending it again.
      await Promise.race([work, expiry]);
    });
    try {
      await Promise.race([visit, expiry]);
    } catch (error) {
      if (expired) this.#abandon(Promise.allSettled([visit, work]));
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** A session that was the monitor's own is taken for what it was, and asked along with all else whether it still is. */
  async #use(session: Queryable, database: WatchedDatabase, force: boolean): Promise<void> {
    const known = database.own.get(session);
    if (known && (database !== this.#databases[0] || known === this.#identity)) {
      const planned = marked(database.prepared.in(session, known.pid));
      if (await this.#runDue(planned, known, database, force, { ask: true })) return;
    }
    database.own.delete(session);
    await withLimits(marked(session), this.#options, async (identity) => {
      // What is prepared stays with a session, so only one of the monitor's own is prepared for.
      const planned = identity.own ? database.prepared.in(session, identity.pid) : session;
      await this.#runDue(marked(planned), identity, database, force);
      if (identity.own) database.own.set(session, identity);
    });
  }

  #abandon(ending: Promise<unknown>): void {
    this.#abandoned = ending.finally(() => {
      this.#abandoned = undefined;
    });
  }

  /** @returns false when the session was asked and is another than was thought: then nothing it told counts */
  async #runDue(
    session: Queryable,
    identity: SessionIdentity,
    database: WatchedDatabase,
    force: boolean,
    { ask = false }: { readonly ask?: boolean } = {},
  ): Promise<boolean> {
    if (identity.versionNum < oldestVersionNum) {
      throw new UnsupportedServerError({ server: this.name, versionNum: identity.versionNum });
    }
    const isFirst = database === this.#databases[0];
    if (isFirst) {
      this.#adopt(identity);
      await this.#seek(session, force);
    }
    const context: CollectContext = {
      version: Math.floor(identity.versionNum / 10_000),
      role: identity.standby ? "standby" : "primary",
      database: identity.database,
      now: this.#options.clock.now(),
      limits: database.found === undefined ? this.#options.limits : this.#shared(this.#options.limits),
      detail: this.#options.detail,
    };
    const startedAt = performance.now();
    const due = this.#runs.filter((run) => run.database === database && (force || this.#isDue(run, context.now)));
    const live = due.filter(isLive);
    // The first visit asks what later ones ask: a joined statement is planned once.
    const texts = identity.own ? this.#textsOf(live, context.version) : this.#textsOf(live, context.version).slice(1);
    const rowsOf = await this.#live.ask(session, texts);
    if (ask && !isStill(identity, this.#options, firstRow(rowsOf, stillSql))) return false;
    const further: { readonly run: Live; readonly more: (session: Queryable) => Promise<Collected> }[] = [];
    for (const run of live) {
      const more = this.#make(run, rowsOf, context);
      if (more) further.push({ run, more });
    }
    // They shared a statement, so they share its time.
    const shareMs = (performance.now() - startedAt) / live.length;
    for (const run of live) run.durationMs = shareMs;
    for (const { run, more } of further) {
      await this.#attempt(run, context, () => more(session));
      run.durationMs += shareMs;
    }
    for (const run of due) {
      if (isLive(run)) continue;
      // A slow server is not a dead one: what does not fit into half the time stays due, the cheap having gone first.
      if (performance.now() - startedAt > this.#options.collectTimeoutMs / 2) break;
      const { run: read } = run;
      await this.#attempt(run, context, () => (read as CollectorRun)(session, context));
    }
    return true;
  }

  /** First what tells whether the session is still the one it was, then what the collectors ask, each once. */
  #textsOf(live: readonly Live[], version: number): readonly string[] {
    const due = `${version} ${live.map(({ collector }) => collector.name).join(" ")}`;
    let texts = this.#asked.get(due);
    if (!texts) {
      texts = [...new Set([stillSql, ...live.flatMap(({ run }) => run.asks(version))])];
      if (this.#asked.size >= 50) this.#asked.clear();
      this.#asked.set(due, texts);
    }
    return texts;
  }

  /** @returns what there is to ask further */
  #make(run: Live, rowsOf: RowsOf, context: CollectContext): ((session: Queryable) => Promise<Collected>) | undefined {
    run.attemptedAt = context.now;
    try {
      const rows = run.run.asks(context.version).map(rowsOf);
      if (run.madeOf === undefined || rows.some((each, i) => each !== run.madeOf?.[i])) {
        run.madeOf = undefined;
        const made = run.run.make(rowsOf, context);
        if (typeof made === "function") return made;
        run.collected = made;
        run.madeOf = rows;
      }
      run.asOf = context.now;
      run.error = undefined;
    } catch (error) {
      this.#fail(run, error);
    }
    return undefined;
  }

  /** Another version or role is another server: what the old one said is no longer true. */
  #adopt(identity: SessionIdentity): void {
    const before = this.#identity;
    this.#identity = identity;
    if (before && before.startedExactly !== identity.startedExactly) {
      // What is read every five seconds is no longer true of a server that has just started.
      for (const run of this.#runs) if (run.collector.tier === "T0") run.attemptedAt = undefined;
    }
    if (before && before.standby === identity.standby && before.versionNum === identity.versionNum) return;
    if (before) this.#logger.warn({ standby: identity.standby }, "the server changed its role or version");
    const version = Math.floor(identity.versionNum / 10_000);
    const role = identity.standby ? "standby" : "primary";
    this.#collectors = collectors.filter(
      ({ name, since, scope }) =>
        !this.#options.skip.includes(name) && since <= version && (scope === "any" || scope === role),
    );
    this.#runs = this.#databases.flatMap((database, i) => this.#runsOn(database, i === 0));
  }

  #runsOn(database: WatchedDatabase, isFirst: boolean): readonly Run[] {
    return this.#collectors
      .filter(({ per }) => isFirst || per === "database")
      .map((collector) => ({
        collector,
        run: collector.begin(),
        database,
        madeOf: undefined,
        collected: undefined,
        asOf: undefined,
        attemptedAt: undefined,
        durationMs: 0,
        error: undefined,
      }));
  }

  /** Looks which databases there are, as often as for sizes. */
  async #seek(session: Queryable, force: boolean): Promise<void> {
    if (!this.#connect) return;
    const now = this.#options.clock.now();
    if (!force && this.#soughtAt !== undefined && now - this.#soughtAt < this.#options.tierMs.T1) return;
    this.#soughtAt = now;
    const before = new Set(this.#databases);
    this.#databases = await findDatabases(session, this.#databases, this.#connect);
    this.#runs = [
      ...this.#runs.filter(({ database }) => this.#databases.includes(database)),
      ...this.#databases.filter((each) => !before.has(each)).flatMap((each) => this.#runsOn(each, false)),
    ];
  }

  /** Databases that were found share what one may have, so that a hundred of them are no hundred times as many series. */
  #shared({ tables, indexes, ...limits }: CollectLimits): CollectLimits {
    const found = this.#databases.filter((each) => each.found !== undefined).length;
    const share = (limit: number): number => Math.max(10, Math.floor(limit / Math.max(1, found)));
    return { ...limits, tables: share(tables), indexes: share(indexes) };
  }

  /** Closes what it connected to itself. */
  async close(): Promise<void> {
    const found = this.#databases.filter(({ close }) => close !== undefined);
    this.#databases = this.#databases.filter((each) => !found.includes(each));
    this.#runs = this.#runs.filter(({ database }) => this.#databases.includes(database));
    this.#soughtAt = undefined;
    await Promise.allSettled(found.map(async (each) => each.close?.()));
  }

  #isDue(run: Run, now: number): boolean {
    if (run.attemptedAt === undefined) return true;
    if (run.collector.tier === "T0")
      return !run.collector.unhurried || run.error !== undefined || now - run.attemptedAt >= unhurriedMs;
    // What failed is tried again sooner.
    const every = run.error === undefined ? this.#everyMs(run) : this.#options.tierMs.T1;
    return now - run.attemptedAt >= every - this.#options.intervalMs / 2;
  }

  /** What costs more than a hundredth of its interval is asked less often. */
  #everyMs({ collector, durationMs }: Run): number {
    const { tierMs, intervalMs } = this.#options;
    return collector.tier === "T0" ? intervalMs : Math.max(tierMs[collector.tier], intervalMs, durationMs * 100);
  }

  async #attempt(run: Run, context: CollectContext, read: () => Promise<Collected>): Promise<void> {
    const startedAt = performance.now();
    run.attemptedAt = context.now;
    try {
      run.collected = await read();
      run.asOf = context.now;
      run.error = undefined;
    } catch (error) {
      if (isConnectionError(error)) throw error;
      this.#fail(run, error);
    } finally {
      run.durationMs = performance.now() - startedAt;
    }
  }

  #fail(run: Run, error: unknown): void {
    const reason = redactUrls(messageOf(error));
    if (run.error !== reason) this.#logger.warn({ collector: run.collector.name, reason }, "a collector failed");
    run.error = reason;
  }
}

/** The first row of a statement; undefined where it failed. */
function firstRow(rowsOf: RowsOf, text: string): Row | undefined {
  try {
    return rowsOf(text)[0];
  } catch {
    return undefined;
  }
}

/** Asks on any session, and plans once where that is one of the monitor's own. */
function plannedOn({ db, own, prepared }: WatchedDatabase): Queryable {
  return {
    query: (text, values) =>
      db.withSession((session) => {
        const known = own.get(session);
        return (known ? prepared.in(session, known.pid) : session).query(text, values);
      }),
  };
}

/** Marked once each: the texts are a fixed few, and the same one is found sooner than one like it. */
const markedTexts = new Map<string, string>();

function withMark(text: string): string {
  let marked = markedTexts.get(text);
  if (marked === undefined) {
    if (markedTexts.size >= 1_000) markedTexts.clear();
    marked = `${text} ${statementMark}`;
    markedTexts.set(text, marked);
  }
  return marked;
}

/** Marks the statements as the monitor's, so that rankings can tell them from the application's. */
function marked(session: Queryable): Queryable {
  return { query: (text, values) => session.query(withMark(text), values) };
}

function toIdentity({ database, role, canMonitor, startedAt }: SessionIdentity): NonNullable<Facts["identity"]> {
  return { database, role, canMonitor, startedAt };
}
