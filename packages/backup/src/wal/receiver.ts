import { AbortedError, formatLsn, isDbError, messageOf, parseLsn, type Service, type ServiceHealth } from "@db/core";
import { ClusterChangedError, WalGapError } from "../errors.ts";
import { readServerFacts } from "../replication/server.ts";
import { ReplicationSession } from "../replication/session.ts";
import { WalStream } from "../replication/wal-stream.ts";
import { parseWalRecordKey, walFolder } from "../repository/layout.ts";
import { WalArchive } from "./archive.ts";
import { Condition } from "./condition.ts";
import { Coverage } from "./coverage.ts";
import { listWal, recordGap, recordPosition, type WalGap } from "./listing.ts";
import { type ResolvedReceiverOptions, resolveReceiverOptions, type WalReceiverOptions } from "./receiver-options.ts";
import { isFatal, receiverHealth, type WalReceiverStatus } from "./receiver-status.ts";
import { parseWalName, partialName, segmentStart } from "./segment.ts";
import { ensureSlot, renewSlot, type SlotState } from "./slot.ts";
import { WalSpool } from "./spool.ts";
import { continueArchive, type StartPosition } from "./start-position.ts";
import { parseTimelineHistory, type TimelineSwitch } from "./timeline.ts";
import { UploadQueue } from "./uploads.ts";

/**
 * Receives a cluster's WAL without end and stores it: whole segments, the tail of the unfinished one, the history of
 * every timeline. The server is told only of what survives a power cut here, so its slot holds the rest.
 * Goes on after every loss of the server or the repository; ends by itself only for what no waiting heals.
 */
export class WalReceiver implements Service {
  readonly name = "wal-receiver";
  readonly #options: ResolvedReceiverOptions;
  readonly #stop = new AbortController();
  readonly #spool: WalSpool;
  readonly #uploads: UploadQueue;
  readonly #gaps: WalGap[] = [];
  #running: Promise<void> | undefined;
  #state: WalReceiverStatus["state"] = "stopped";
  #archive: WalArchive | undefined;
  #segmentBytes = 0;
  #next: StartPosition | undefined;
  /** The archive ends before a gap, so the place behind it is kept until its first segment is stored. */
  #behindGap: StartPosition | undefined;
  #everStreamed = false;
  #stream: WalStream | undefined;
  #durable: { readonly timeline: number; readonly lsn: bigint } | undefined;
  readonly #coverage: Coverage = new Coverage();
  #recordedPosition = "";
  #lastMessageAt = 0;
  #tail = "";
  #ticking = false;
  #reconnects = -1;
  #lastError: string | undefined;
  readonly #changed: Condition = new Condition();

  constructor(options: WalReceiverOptions) {
    this.#options = resolveReceiverOptions(options);
    const { clock, logger, spoolDirectory, spoolBytes } = this.#options;
    this.#spool = new WalSpool(spoolDirectory, spoolBytes);
    this.#uploads = new UploadQueue(clock, logger, this.#stop.signal, (error) => this.#failed(error));
    this.#options.signal?.addEventListener("abort", () => this.#stop.abort(), { once: true });
  }

  /**
   * Begins and returns once WAL streams.
   * @throws what makes receiving impossible; trouble that may pass is tried again until `signal` fires
   */
  async start(signal?: AbortSignal): Promise<void> {
    this.#running ??= this.#run();
    this.#running.catch(() => undefined);
    const streaming = (): boolean => this.#state === "streaming";
    await Promise.race([this.#running, this.#changed.until(streaming, signal)]);
  }

  /** Resolves after `stop`. @throws what ended the receiver by itself */
  async ended(): Promise<void> {
    await this.#running;
  }

  /** Resolves when everything before `lsn` is in the repository. @throws {AbortedError} */
  async reached(lsn: string, signal?: AbortSignal): Promise<void> {
    const wanted = parseLsn(lsn);
    await Promise.race([
      this.#running?.then(() => Promise.reject(new AbortedError("the receiver was stopped"))),
      this.#changed.until(() => (this.#durable?.lsn ?? 0n) >= wanted, signal),
    ]);
  }

  /** Stores the tail and ends. What could not be stored stays on the server. */
  async stop(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    if (this.#running && !this.#stop.signal.aborted) {
      const bound = AbortSignal.timeout(options.timeoutMs ?? 10_000);
      if (this.#state === "streaming") {
        const stored = this.#storeTail().then(() => this.#uploads.idle());
        await Promise.race([stored, aborted(bound)]);
      }
      this.#stop.abort();
    }
    await this.#running?.catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  status(): WalReceiverStatus {
    const received = this.#stream?.position;
    const { coveredUntil } = this.#coverage;
    return {
      state: this.#state,
      systemIdentifier: this.#archive?.systemIdentifier ?? null,
      slot: this.#options.slot,
      timeline: this.#next?.timeline ?? null,
      receivedLsn: textOf(received),
      durableLsn: textOf(this.#durable?.lsn),
      lagBytes: this.#coverage.lagBytes(this.#durable?.lsn) ?? null,
      coveredUntil: coveredUntil === undefined ? null : new Date(coveredUntil).toISOString(),
      spoolBytes: this.#spool.bytes,
      waitingSegments: this.#uploads.length,
      reconnects: Math.max(0, this.#reconnects),
      gaps: this.#gaps,
      lastError: this.#lastError ?? null,
      repositoryError: this.#uploads.trouble === undefined ? null : messageOf(this.#uploads.trouble),
    };
  }

  health(): ServiceHealth {
    return receiverHealth(this.status(), this.#options.clock.now());
  }

  async #run(): Promise<void> {
    const { clock, firstBackoffMs, longestBackoffMs, logger } = this.#options;
    const { signal } = this.#stop;
    let pause = firstBackoffMs;
    await this.#spool.open();
    try {
      while (!signal.aborted) {
        this.#setState("connecting");
        this.#reconnects++;
        const before = this.#durable?.lsn;
        try {
          await this.#session();
        } catch (error) {
          if (signal.aborted) return;
          this.#failed(error);
          if (this.#uploads.failure) throw this.#uploads.failure;
          if (isFatal(error, this.#everStreamed)) throw error;
        }
        if (this.#durable?.lsn !== before) pause = firstBackoffMs;
        this.#setState("waiting");
        const wait = pause * (0.5 + Math.random() / 2);
        logger.warn({ retryMs: Math.round(wait), error: this.#lastError }, "WAL does not stream");
        await clock.sleep(wait, signal).catch(() => undefined);
        pause = Math.min(longestBackoffMs, pause * 2);
      }
    } catch (error) {
      this.#setState("failed");
      logger.error({ error: messageOf(error) }, "the WAL receiver ended");
      throw error;
    } finally {
      if (this.#state !== "failed") this.#setState("stopped");
      this.#stop.abort();
      await this.#uploads.idle();
      await this.#spool.close();
    }
  }

  /** One connection, from its first word to its last. */
  async #session(): Promise<void> {
    const { url, connectTimeoutMs, slot } = this.#options;
    const abort = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, abort.signal]);
    await using session = await ReplicationSession.connect({ url, connectTimeoutMs, signal });
    const server = await this.#identify(session);
    let state = await ensureSlot(session, slot);
    if (state.lost) state = await renewSlot(session, slot);
    const history = await this.#storeHistory(session, server.timeline);
    this.#next = await this.#startPosition(state, server, history);
    const timers = [
      setInterval(() => void this.#tick(), this.#options.tailIntervalMs),
      setInterval(() => this.#checkSilence(abort), 1_000),
    ];
    try {
      for (;;) {
        await this.#streamTimeline(session, server, state, signal);
      }
    } finally {
      for (const timer of timers) clearInterval(timer);
      // A server lost now may never come back: what it sent last is stored, if the repository is there.
      const tail = this.#storeTail().catch((error: unknown) => this.#failed(error));
      await Promise.race([tail, this.#options.clock.sleep(this.#options.tailIntervalMs, this.#stop.signal)]).catch(
        () => undefined,
      );
      this.#stream = undefined;
      await this.#spool.forgetCurrent();
    }
  }

  async #identify(session: ReplicationSession): Promise<{ timeline: number; lsn: bigint }> {
    const facts = await readServerFacts(session);
    const expected = this.#archive?.systemIdentifier ?? this.#options.systemIdentifier;
    if (expected !== undefined && expected !== facts.systemIdentifier) {
      throw new ClusterChangedError(`the server is cluster ${facts.systemIdentifier}, not ${expected}`, {
        hint: "Give it a receiver of its own; its WAL never follows the other cluster's.",
      });
    }
    this.#segmentBytes = facts.walSegmentBytes;
    const { repository, compression } = this.#options;
    this.#archive ??= new WalArchive(repository, facts.systemIdentifier, compression);
    await repository.initialise(new Date(this.#options.clock.now()).toISOString());
    const [, timeline, lsn] = (await session.queryRow("IDENTIFY_SYSTEM")) ?? [];
    this.#lastMessageAt = this.#options.clock.now();
    return { timeline: Number(timeline), lsn: parseLsn(lsn ?? "0/0") };
  }

  /** Stores the history of a timeline and of those before it. @returns the ancestors */
  async #storeHistory(session: ReplicationSession, timeline: number): Promise<readonly TimelineSwitch[]> {
    if (timeline <= 1) return [];
    const [name, content] = (await session.queryRow(`TIMELINE_HISTORY ${timeline}`)) ?? [];
    const text = content ?? "";
    const history = parseTimelineHistory(text);
    if (name) await this.#put(name, [Buffer.from(text)]);
    for (const { timeline: ancestor } of history) {
      if (ancestor <= 1) continue;
      // A server made from a copy may lack what it never needed.
      const row = await session.queryRow(`TIMELINE_HISTORY ${ancestor}`).catch(() => undefined);
      if (row?.[0]) await this.#put(row[0], [Buffer.from(row[1] ?? "")]);
    }
    return history;
  }

  async #startPosition(
    slot: SlotState,
    server: { readonly timeline: number; readonly lsn: bigint },
    history: readonly TimelineSwitch[],
  ): Promise<StartPosition> {
    const size = BigInt(this.#segmentBytes);
    // What waits in the spool is received; the server is asked for what follows.
    if (this.#next && this.#uploads.length > 0) return this.#next;
    if (this.#behindGap) return this.#behindGap;
    const listing = await listWal(this.#options.repository, this.#archive!.systemIdentifier);
    const about = { timeline: server.timeline, segmentBytes: this.#segmentBytes };
    const continued = continueArchive(listing, about, history);
    if (continued) {
      this.#durable ??= continued;
      return continued;
    }
    return this.#freshStart(slot, server, size, history);
  }

  #freshStart(
    slot: SlotState,
    server: { readonly timeline: number; readonly lsn: bigint },
    size: bigint,
    history: readonly TimelineSwitch[],
  ): StartPosition {
    const begin = history.at(-1);
    const oldest = begin === undefined ? 0n : parseLsn(begin.switchLsn);
    const held = slot.restartLsn === undefined ? server.lsn : parseLsn(slot.restartLsn);
    const from = held > oldest ? held : oldest;
    return { timeline: server.timeline, lsn: (from / size) * size };
  }

  async #streamTimeline(
    session: ReplicationSession,
    server: { readonly timeline: number; readonly lsn: bigint },
    slot: SlotState,
    signal: AbortSignal,
  ): Promise<void> {
    const start = this.#next!;
    const stream = new WalStream(
      session,
      {
        startLsn: formatLsn(start.lsn),
        timeline: start.timeline,
        segmentBytes: this.#segmentBytes,
        slot: slot.name,
        durable: () => {
          const durable = this.#durable?.lsn ?? 0n;
          return durable > start.lsn ? durable : start.lsn;
        },
        onMessage: (end, time, asked) => this.#heard(end, time, asked),
      },
      {
        data: (segment, offset, chunk) => this.#spool.write(segment, offset, chunk, signal),
        endSegment: (segment) => this.#endSegment(segment),
      },
    );
    this.#stream = stream;
    let next;
    try {
      next = await stream.run();
    } catch (error) {
      if (isDbError(error, "BACKUP_SERVER") && /not in this server's history/.test(messageOf(error))) {
        throw await this.#gap(start, await this.#restart(session, server, slot), error);
      }
      if (!(error instanceof WalGapError)) throw error;
      throw await this.#gap(start, await this.#restart(session, server, slot, start.lsn), error);
    }
    if (!next) throw new WalGapError("the server ended the stream and named no next timeline");
    await this.#uploads.idle();
    await this.#storeTail();
    await this.#spool.forgetCurrent();
    await this.#storeHistory(session, next.timeline);
    const size = BigInt(this.#segmentBytes);
    this.#options.logger.info({ timeline: next.timeline, lsn: next.startLsn }, "the server began a new timeline");
    this.#next = { timeline: next.timeline, lsn: (parseLsn(next.startLsn) / size) * size };
  }

  /**
   * The oldest WAL the server still has for certain.
   * @param removed a position that the server has just said it removed
   */
  async #restart(
    session: ReplicationSession,
    server: { readonly timeline: number; readonly lsn: bigint },
    slot: SlotState,
    removed?: bigint,
  ): Promise<StartPosition> {
    let now = await ensureSlot(session, slot.name);
    // The slot follows whatever position it was told last, back to removed WAL too: such a slot holds nothing.
    const held = now.restartLsn === undefined ? undefined : parseLsn(now.restartLsn);
    const stale = removed !== undefined && held !== undefined && held < removed + BigInt(this.#segmentBytes);
    if (now.lost || stale) now = await renewSlot(session, slot.name);
    const history = await this.#storeHistory(session, server.timeline);
    return this.#freshStart(now, server, BigInt(this.#segmentBytes), history);
  }

  /** Writes a gap down, tells of it, and lets the next session begin behind it. */
  async #gap(from: StartPosition, to: StartPosition, cause: unknown): Promise<WalGapError> {
    const { repository, clock, logger, metrics, onGap } = this.#options;
    const gap: WalGap = {
      timeline: from.timeline,
      fromLsn: formatLsn(from.lsn),
      toTimeline: to.timeline,
      toLsn: formatLsn(to.lsn),
      detectedAt: new Date(clock.now()).toISOString(),
      reason: messageOf(cause),
    };
    await this.#uploads.idle();
    if (to.lsn > from.lsn || to.timeline !== from.timeline) {
      await recordGap(repository, this.#archive!.systemIdentifier, gap);
      this.#gaps.push(gap);
      metrics.count("db_backup_wal_gaps_total");
      logger.error({ ...gap }, "WAL is lost: take a full backup now");
      onGap(gap);
      this.#behindGap = to;
    }
    return new WalGapError(`WAL from ${gap.fromLsn} to ${gap.toLsn} is lost`, {
      cause,
      hint: "Take a full backup now: db backup run. Recovery cannot pass this gap.",
    });
  }

  async #endSegment(segment: string): Promise<void> {
    const spooled = await this.#spool.end();
    if (!spooled) return;
    const end = segmentStart(segment, this.#segmentBytes) + BigInt(this.#segmentBytes);
    const { timeline } = parseWalName(segment)!;
    this.#next = { timeline, lsn: end };
    this.#uploads.add({
      name: segment,
      run: async () => {
        await this.#put(segment, () => this.#spool.read(spooled));
        await this.#removeTails(segment);
        await this.#spool.release(spooled);
        this.#behindGap = undefined;
        this.#settle(timeline, end);
        this.#options.metrics.count("db_backup_wal_segments_total");
      },
    });
  }

  async #put(name: string, content: readonly Buffer[] | (() => AsyncIterable<Buffer>)): Promise<void> {
    const read = typeof content === "function" ? content : () => content;
    const now = this.#options.clock.now();
    const segmentBytes = this.#segmentBytes;
    await this.#archive!.put({ name, source: "receive", read, segmentBytes, now, signal: this.#stop.signal });
  }

  async #tick(): Promise<void> {
    if (this.#ticking) return;
    this.#ticking = true;
    try {
      // A segment that is just being stored holds the tail back; then it follows at once, not an interval later.
      await this.#uploads.idle();
      await this.#storeTail();
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#ticking = false;
    }
  }

  /** Stores the unfinished segment as far as it came; older tails of it go when the new one is there. */
  async #storeTail(): Promise<void> {
    const current = this.#spool.current;
    const stream = this.#stream;
    if (!stream) return;
    const at = { timeline: this.#next!.timeline, lsn: stream.position };
    if (this.#uploads.length > 0) return;
    const name = current && current.bytes > 0 ? partialName(current.segment, current.bytes) : "";
    if (name !== "" && name !== this.#tail) {
      const copy = { ...current! };
      this.#uploads.add({
        name,
        run: async () => {
          // The segment may be whole and gone by now; then there is nothing left to do.
          if (this.#spool.current?.segment !== copy.segment) return;
          await this.#put(name, () => this.#spool.read(copy));
          await this.#removeTails(copy.segment, name);
          this.#tail = name;
          this.#settle(at.timeline, at.lsn);
        },
      });
      await this.#uploads.idle();
    } else this.#settle(at.timeline, at.lsn);
    await this.#storePosition();
  }

  async #storePosition(): Promise<void> {
    const { repository } = this.#options;
    const covered = this.#coverage.coveredUntil;
    if (!this.#durable || covered === undefined) return;
    const { timeline, lsn } = this.#durable;
    const coveredUntil = new Date(covered).toISOString();
    const position = { timeline, lsn: formatLsn(lsn), coveredUntil };
    if (JSON.stringify(position) === this.#recordedPosition) return;
    await recordPosition(repository, this.#archive!.systemIdentifier, position);
    this.#recordedPosition = JSON.stringify(position);
  }

  async #removeTails(segment: string, except?: string): Promise<void> {
    const archive = this.#archive!;
    const prefix = `${walFolder(archive.systemIdentifier, segment)}${segment}.partial-`;
    const names: string[] = [];
    for await (const { key } of this.#options.repository.storage.list(prefix)) {
      const name = parseWalRecordKey(key)?.name;
      if (name !== undefined && name !== except) names.push(name);
    }
    for (const name of names) await archive.remove(name);
  }

  #settle(timeline: number, lsn: bigint): void {
    const moved = this.#durable?.lsn !== lsn;
    this.#durable = { timeline, lsn };
    if (moved) this.#stream?.report();
    this.#coverage.settle(lsn);
    const { metrics, clock } = this.#options;
    const { coveredUntil } = this.#coverage;
    metrics.gauge("db_backup_wal_lag_bytes", this.#coverage.lagBytes(lsn) ?? 0);
    if (coveredUntil !== undefined) {
      metrics.gauge("db_backup_wal_rpo_seconds", Math.max(0, clock.now() - coveredUntil) / 1000);
    }
    this.#changed.wake();
  }

  #heard(serverEnd: bigint, serverTime: number, asked: boolean): void {
    // A server that shuts down waits until all it has sent is durable here.
    if (asked) void this.#tick();
    this.#everStreamed = true;
    if (this.#state === "connecting") this.#setState("streaming");
    this.#lastMessageAt = this.#options.clock.now();
    this.#coverage.heard(serverEnd, serverTime);
  }

  #checkSilence(abort: AbortController): void {
    const silence = this.#options.clock.now() - this.#lastMessageAt;
    // A full spool stops reading on purpose.
    if (this.#uploads.length > 0 || silence < this.#options.idleTimeoutMs) {
      if (silence > this.#options.idleTimeoutMs / 4) this.#stream?.report();
      return;
    }
    abort.abort(new Error("the server is silent"));
  }

  #failed(error: unknown): void {
    this.#lastError = messageOf(error);
    this.#options.metrics.count("db_backup_wal_errors_total");
    this.#changed.wake();
  }

  #setState(state: WalReceiverStatus["state"]): void {
    this.#state = state;
    this.#changed.wake();
  }
}

/** Makes a receiver; nothing happens before `start`. @throws {InvalidBackupOptionsError} */
export function createWalReceiver(options: WalReceiverOptions): WalReceiver {
  return new WalReceiver(options);
}

function textOf(lsn: bigint | undefined): string | null {
  return lsn === undefined ? null : formatLsn(lsn);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
