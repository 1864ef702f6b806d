import {
  AbortedError,
  compareFindings,
  type HealthCheck,
  messageOf,
  type Service,
  type ServiceHealth,
  worstStatus,
} from "@db/core";
import { type AlertEngine, createAlertEngine } from "./alerts/engine.ts";
import type { Alert, AlertEvent } from "./alerts/event.ts";
import type { Silence, SilenceRequest } from "./alerts/silence.ts";
import { Silences } from "./alerts/silences.ts";
import { type Anomaly, anomalyFindings, findAnomalies } from "./anomaly/anomaly.ts";
import { UnsupportedServerError } from "./errors.ts";
import { copyFamilies, type MetricFamily } from "./family.ts";
import { type AlertFinding, recommend, toFinding } from "./findings.ts";
import { capacityFindings, type CapacityForecast, forecastCapacity, forecastTable } from "./forecast/capacity.ts";
import { type HostStats, type HostStatsSource, hostTables } from "./host.ts";
import { type MonitorOptions, type ResolvedMonitorOptions, resolveMonitorOptions } from "./options.ts";
import { copyPoolStats, type PoolStats, poolTables } from "./pool-stats.ts";
import { Regressions } from "./regression/regressions.ts";
import { buildReport, type MonitorReport, type ReportInput } from "./report/report.ts";
import { leastSpacing, type Series, type SeriesQuery, SeriesStore } from "./series.ts";
import type { Block, ServerSnapshot, Snapshot } from "./snapshot.ts";
import { Target } from "./target.ts";
import type { WaitQuery, WaitRing, WaitSpan } from "./waits/waits.ts";

const forecastAgeMs = 60_000;

export interface CollectOptions {
  /** Ends the caller's wait; the collection itself goes on for whoever else waits. */
  readonly signal?: AbortSignal;
  /** Read everything now, whatever its tier. Default false. */
  readonly force?: boolean;
  /** Serve what is known when it is no older than this, without asking the server. Default 0. */
  readonly maxAgeMs?: number;
}

export interface WaitQueryOptions {
  /** Default the primary. */
  readonly server?: string;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
}

/** Watches a primary and its standbys. */
export interface Monitor extends Service {
  /**
   * Reads what is due from every server and evaluates the rules, these once an interval unless forced to. Calls at the
   * same time share one collection. A server that does not answer within `collectTimeoutMs` is reported as down, with
   * its last values and their age.
   * @throws {UnsupportedServerError} when the primary is older than PostgreSQL 12
   * @throws {AbortedError} when `signal` fires
   */
  collect(options?: CollectOptions): Promise<Snapshot>;
  /** What is known now, with ages. Asks no server; before the first collection it holds no values. */
  snapshot(): Snapshot;
  /** What holds now and what the last snapshot suggests, worst first. */
  findings(): readonly AlertFinding[];
  /** Alerts that fire or are about to. */
  alerts(): readonly Alert[];
  /** What alerts did, oldest first, at most 1 000 events. */
  alertHistory(): readonly AlertEvent[];
  /** What is silenced, read anew from where silences live; as last known while that is away. */
  silences(): Promise<readonly Silence[]>;
  /** Silences alerts that somebody knows of: they stay in every list, and are not told. @throws {InvalidSilenceError} */
  silence(request: SilenceRequest): Promise<Silence>;
  /** Ends a silence before its time. @returns false when there is none of that id */
  unsilence(id: string): Promise<boolean>;
  /** A chart's lines, by the name in `keySeries`. */
  series(name: string, query: SeriesQuery): readonly Series[];
  /** Load over time by what active sessions wait for, from samples taken since `start`; empty for an unknown server. */
  waits(query: WaitQueryOptions & { readonly stepMs: number }): readonly WaitSpan[];
  /** The statements active sessions were in, greatest first. */
  waitQueries(query: WaitQueryOptions & { readonly limit?: number }): readonly WaitQuery[];
  /** Courses that are far from what they usually are, with what else happens that may be why. */
  anomalies(): readonly Anomaly[];
  /** All there is to say now, as data; render it with `renderReportText` or `renderReportHtml`. */
  report(options?: Pick<ReportInput, "title" | "since">): MonitorReport;
  /** When storage, connections, sequences and ids are used up, soonest first, from all that `series` knows. */
  forecasts(): readonly CapacityForecast[];
}

/** Makes a monitor. It does nothing until `collect` or `start`. @throws {InvalidMonitorOptionsError} */
export function createMonitor(options: MonitorOptions): Monitor {
  return new LiveMonitor(resolveMonitorOptions(options));
}

class LiveMonitor implements Monitor {
  readonly name = "monitoring";
  readonly #options: ResolvedMonitorOptions;
  readonly #targets: readonly Target[];
  readonly #engine: AlertEngine;
  readonly #silences: Silences;
  readonly #series: SeriesStore;
  readonly #regressions: Regressions;
  #inFlight: Promise<Snapshot> | undefined;
  #loop: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;
  #collectedAt: number | undefined;
  #evaluatedAt: number | undefined;
  #fatal: UnsupportedServerError | undefined;
  #host: HostStats | undefined;
  #pool: PoolStats | undefined;
  #families: readonly MetricFamily[] = [];
  #restored = false;
  #saving: Promise<void> | undefined;
  #unusual: { readonly at: number; readonly found: readonly Anomaly[] } | undefined;
  #foreseen: { readonly at: number; readonly told: readonly CapacityForecast[] } | undefined;

  constructor(options: ResolvedMonitorOptions) {
    this.#options = options;
    this.#targets = options.targets.map(
      (target, i) => new Target(target, options, i === 0 ? options.targets.length - 1 : 0),
    );
    this.#silences = new Silences(options);
    this.#engine = createAlertEngine({ ...options, silences: () => this.#silences.now });
    this.#series = new SeriesStore(options);
    this.#regressions = new Regressions(this.#series);
  }

  async start(signal?: AbortSignal): Promise<void> {
    if (this.#loop) return;
    await this.#restoreHistory();
    await this.#silences.refresh();
    await this.collect(signal ? { signal } : {});
    // Somebody may have started it during the first collection.
    if (this.#loop as unknown) return;
    const stop = new AbortController();
    const done = Promise.all([
      this.#run(stop.signal),
      ...this.#targets.map((target) => target.sampleWaits(stop.signal)),
    ]).then(() => undefined);
    this.#loop = { stop, done };
  }

  async stop({ timeoutMs = 5_000 }: { readonly timeoutMs?: number } = {}): Promise<void> {
    const loop = this.#loop;
    this.#loop = undefined;
    loop?.stop.abort();
    const bound = new AbortController();
    const ending = Promise.allSettled([
      loop?.done,
      this.#inFlight,
      this.#engine.settled(),
      this.#silences.settled(),
    ]).then(() =>
      Promise.all([this.#saveHistory({ unfinished: true }), ...this.#targets.map((target) => target.close())]),
    );
    await Promise.race([ending, this.#options.clock.sleep(timeoutMs, bound.signal).catch(() => undefined)]);
    bound.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async collect({ signal, force = false, maxAgeMs = 0 }: CollectOptions = {}): Promise<Snapshot> {
    const now = this.#options.clock.now();
    if (!force && this.#collectedAt !== undefined && now - this.#collectedAt < maxAgeMs) return this.snapshot();
    if (force && this.#inFlight)
      await abortable(
        this.#inFlight.catch(() => undefined),
        signal,
      );
    this.#inFlight ??= this.#collect(force).finally(() => {
      this.#inFlight = undefined;
    });
    return abortable(this.#inFlight, signal);
  }

  snapshot(): Snapshot {
    const now = this.#options.clock.now();
    return this.#compose(
      now,
      this.#targets.map((target) => target.snapshot(now)),
    );
  }

  #compose(now: number, servers: readonly ServerSnapshot[]): Snapshot {
    const asOf = new Date(now).toISOString();
    const ageMs = this.#collectedAt === undefined ? null : now - this.#collectedAt;
    const collectedAt = this.#collectedAt === undefined ? null : new Date(this.#collectedAt).toISOString();
    const own = (collector: string, tables: Block["tables"]): Block => ({
      collector,
      tier: "T0",
      asOf: collectedAt,
      ageMs,
      everyMs: this.#options.intervalMs,
      durationMs: 0,
      success: true,
      tables,
    });
    return {
      asOf,
      servers: servers.map((server, i) => {
        const regressions = this.#regressions.tableOf(server.name);
        return {
          ...server,
          blocks: [
            ...server.blocks,
            ...(this.#options.waits === false ? [] : [own("wait_sampling", this.#targets[i]!.waits.tables())]),
            ...(regressions ? [own("query_regression", [regressions])] : []),
          ],
        };
      }),
      blocks: [
        own("pool", poolTables(this.#pool)),
        own("host", hostTables(this.#host)),
        own("forecast", [forecastTable(this.#foreseen?.told ?? [])]),
      ],
      ...(this.#pool && { pool: this.#pool }),
      ...(this.#host && { host: this.#host }),
      families: this.#families,
    };
  }

  findings(): readonly AlertFinding[] {
    const ids = new Map(this.#options.rules.map(({ name, finding }) => [name, finding]));
    const fromAlerts = this.#engine.alerts().map((alert) => toFinding(alert, ids.get(alert.rule) ?? alert.rule));
    return [
      ...fromAlerts,
      ...capacityFindings(this.forecasts()),
      ...anomalyFindings(this.anomalies()),
      ...recommend(this.snapshot()),
    ].toSorted(compareFindings);
  }

  alerts(): readonly Alert[] {
    return this.#engine.alerts();
  }

  alertHistory(): readonly AlertEvent[] {
    return this.#engine.history();
  }

  async silences(): Promise<readonly Silence[]> {
    await this.#silences.refresh();
    return this.#silences.now;
  }

  silence(request: SilenceRequest): Promise<Silence> {
    return this.#silences.add(request);
  }

  unsilence(id: string): Promise<boolean> {
    return this.#silences.remove(id);
  }

  series(name: string, query: SeriesQuery): readonly Series[] {
    return this.#series.query(name, query);
  }

  waits({ server, ...query }: WaitQueryOptions & { readonly stepMs: number }): readonly WaitSpan[] {
    return this.#waitsOf(server)?.spans(query) ?? [];
  }

  waitQueries({ server, ...query }: WaitQueryOptions & { readonly limit?: number }): readonly WaitQuery[] {
    return this.#waitsOf(server)?.queries(query) ?? [];
  }

  #waitsOf(server: string | undefined): WaitRing | undefined {
    return this.#targets.find(({ name }, i) => (server === undefined ? i === 0 : name === server))?.waits;
  }

  anomalies(): readonly Anomaly[] {
    const collectedAt = this.#collectedAt;
    if (collectedAt === undefined) return [];
    if (this.#unusual?.at !== collectedAt) {
      const seriesOf = (name: string): readonly Series[] => this.#series.all(name);
      const found = findAnomalies({ seriesOf, snapshot: this.snapshot(), now: collectedAt });
      this.#unusual = { at: collectedAt, found };
    }
    return this.#unusual.found;
  }

  report(options: Pick<ReportInput, "title" | "since"> = {}): MonitorReport {
    return buildReport({
      ...options,
      snapshot: this.snapshot(),
      findings: this.findings(),
      alerts: this.alertHistory(),
      forecasts: this.forecasts(),
      anomalies: this.anomalies(),
    });
  }

  forecasts(): readonly CapacityForecast[] {
    const collectedAt = this.#collectedAt;
    if (collectedAt === undefined) return [];
    // A course changes slowly: what was worked out a minute ago still holds.
    if (!this.#foreseen || collectedAt - this.#foreseen.at >= forecastAgeMs) {
      const told = forecastCapacity((name) => this.#series.all(name), this.snapshot());
      this.#foreseen = { at: collectedAt, told };
    }
    return this.#foreseen.told;
  }

  health(): ServiceHealth {
    const { clock, intervalMs } = this.#options;
    const now = clock.now();
    const time = new Date(this.#collectedAt ?? now).toISOString();
    if (this.#collectedAt === undefined) {
      const output = this.#fatal ? "the server's version is not supported" : "nothing was collected yet";
      const status = this.#fatal ? "fail" : "warn";
      return { status, checks: [{ name: "monitoring:collection", status, time, output }] };
    }
    const ageSeconds = (now - this.#collectedAt) / 1000;
    const late = this.#loop !== undefined && now - this.#collectedAt > intervalMs * 3;
    const firing = this.#engine
      .alerts()
      .filter(({ state, severity, silence }) => state === "firing" && severity !== "info" && !silence);
    const checks: HealthCheck[] = [
      {
        name: "monitoring:collection",
        status: late ? "warn" : "pass",
        observedValue: ageSeconds,
        observedUnit: "s",
        time,
        ...(late && { output: "the last collection is older than three intervals" }),
      },
      ...this.#targets.map((target, i) => serverCheck(target, i === 0, time)),
      {
        name: "monitoring:alerts",
        status: firing.length > 0 ? "warn" : "pass",
        observedValue: firing.length,
        time,
        ...(firing.length > 0 && { output: `firing: ${[...new Set(firing.map(({ rule }) => rule))].join(", ")}` }),
      },
    ];
    return { status: worstStatus(checks.map(({ status }) => status)), checks };
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, intervalMs, logger } = this.#options;
    while (!signal.aborted) {
      try {
        await clock.sleep(intervalMs, signal);
      } catch {
        return;
      }
      try {
        await this.collect();
      } catch (error) {
        logger.error({ reason: messageOf(error) }, "a collection failed");
      }
    }
  }

  async #restoreHistory(): Promise<void> {
    if (this.#restored) return;
    this.#restored = true;
    const { clock, history, keepHoursMs, logger } = this.#options;
    const now = clock.now();
    try {
      this.#series.restore(await history.read(now - keepHoursMs), now);
    } catch (error) {
      logger.warn({ reason: messageOf(error) }, "the history could not be read");
    }
  }

  /** One write at a time; what fails is written with the next hour. */
  #saveHistory(options: { readonly unfinished?: boolean } = {}): Promise<void> {
    const { clock, history, keepHoursMs, logger } = this.#options;
    const save = (): Promise<void> =>
      this.#series.save(async (hours) => {
        await history.write(hours);
        await history.expire(clock.now() - keepHoursMs);
      }, options);
    if (this.#saving && !options.unfinished) return this.#saving;
    this.#saving = (this.#saving ?? Promise.resolve())
      .then(save)
      .catch((error: unknown) => logger.warn({ reason: messageOf(error) }, "the history could not be written"))
      .finally(() => (this.#saving = undefined));
    return this.#saving;
  }

  async #readHost(host: HostStatsSource): Promise<void> {
    this.#host = await host.hostStats();
  }

  async #collect(force: boolean): Promise<Snapshot> {
    const { clock, host, intervalMs, metrics, pool } = this.#options;
    const results = await Promise.allSettled([
      this.#readHost(host),
      ...this.#targets.map((target) => target.collect({ force })),
    ]);
    this.#pool = pool && copyPoolStats(pool.stats());
    this.#families = copyFamilies(metrics());
    const primary = results[1];
    if (primary?.status === "rejected") {
      if (primary.reason instanceof UnsupportedServerError) this.#fatal = primary.reason;
      throw primary.reason;
    }
    for (const [i, result] of results.entries()) {
      if (result.status === "rejected") {
        this.#options.logger.warn(
          { server: this.#targets[i - 1]?.name, reason: messageOf(result.reason) },
          "a server was left out",
        );
      }
    }
    const now = clock.now();
    this.#collectedAt = now;
    const servers = this.#targets.map((target) => target.snapshot(now));
    for (const server of servers) this.#regressions.record(server, now);
    // One snapshot for all: what is found in it once need not be sought again.
    let snapshot = this.#compose(now, servers);
    this.#series.record(snapshot, now);
    const foreseen = this.#foreseen;
    this.forecasts();
    if (this.#foreseen !== foreseen) snapshot = this.#compose(now, servers);
    // Whoever scrapes every second makes no rule fire sooner: it would look at them fifteen times as often.
    if (force || this.#evaluatedAt === undefined || now - this.#evaluatedAt >= intervalMs * leastSpacing) {
      this.#evaluatedAt = now;
      this.#engine.evaluate(snapshot);
    }
    this.#silences.endWith(this.#engine.alerts());
    // The next collection knows what another process silenced; this one waits for no table.
    void this.#silences.refresh();
    void this.#saveHistory();
    return snapshot;
  }
}

function serverCheck(target: Target, isPrimary: boolean, time: string): HealthCheck {
  const { up, durationMs } = target.status();
  return {
    name: `${target.name}:monitored`,
    // A standby that is away leaves the service working.
    status: up ? "pass" : isPrimary ? "fail" : "warn",
    observedValue: Math.round(durationMs * 10) / 10,
    observedUnit: "ms",
    time,
    ...(!up && { output: "the server did not answer the last collection" }),
  };
}

async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  const aborted = (): AbortedError => new AbortedError("the collection was not waited for", { cause: signal.reason });
  if (signal.aborted) throw aborted();
  let abort: (() => void) | undefined;
  try {
    return await Promise.race([
      work,
      new Promise<never>((_, reject) => {
        abort = () => reject(aborted());
        signal.addEventListener("abort", abort, { once: true });
      }),
    ]);
  } finally {
    if (abort) signal.removeEventListener("abort", abort);
  }
}
