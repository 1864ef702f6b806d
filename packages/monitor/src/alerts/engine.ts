import { createHash } from "node:crypto";
import { type Clock, formatDuration, type Logger } from "@db/core";
import type { Sample, ServerSnapshot, Snapshot } from "../snapshot.ts";
import { adviceFor } from "./advice.ts";
import { type Blackout, isBlackedOut } from "./blackout.ts";
import type { Alert, AlertEvent, AlertListener } from "./event.ts";
import { evaluate } from "./evaluate.ts";
import { windowsOf } from "./expression.ts";
import type { AlertLevel, AlertRule, AlertSeverity, RuleOverride } from "./rule.ts";
import { type Silence, silenceOf } from "./silence.ts";
import { SampleWindow } from "./window.ts";

export interface AlertEngineOptions {
  readonly rules: readonly AlertRule[];
  readonly overrides?: readonly RuleOverride[];
  readonly blackouts?: readonly Blackout[];
  /** What is silenced now. Default nothing. */
  readonly silences?: () => readonly Silence[];
  readonly onAlert: AlertListener;
  /** Most events kept; the oldest go first. Default 1 000. */
  readonly historyLimit?: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Evaluates rules over snapshots and remembers what holds since when. */
export interface AlertEngine {
  /** Takes a snapshot as what is known now. Listeners are told of what began, changed and ended. */
  evaluate(snapshot: Snapshot): readonly AlertEvent[];
  /** What holds now, firing or about to, in the order of the rules. */
  alerts(): readonly Alert[];
  /** What happened, oldest first. */
  history(): readonly AlertEvent[];
  /** Resolves when every listener told so far has answered. */
  settled(): Promise<void>;
}

interface LevelState {
  since: number | undefined;
  fired: boolean;
}

interface State {
  readonly rule: AlertRule;
  readonly levels: readonly LevelState[];
  alert: Alert | undefined;
  firedAt: number | undefined;
  /** Whether somebody was told that it fires. */
  told: boolean;
}

export function createAlertEngine(options: AlertEngineOptions): AlertEngine {
  return new Engine(options);
}

class Engine implements AlertEngine {
  readonly #options: AlertEngineOptions;
  readonly #window: SampleWindow;
  readonly #states = new Map<string, State>();
  readonly #history: AlertEvent[] = [];
  readonly #telling = new Set<Promise<void>>();

  constructor(options: AlertEngineOptions) {
    this.#options = options;
    const windows = new Map<string, number>();
    for (const { expression } of options.rules) {
      for (const [metric, ms] of windowsOf(expression)) windows.set(metric, Math.max(windows.get(metric) ?? 0, ms));
    }
    this.#window = new SampleWindow(windows);
  }

  evaluate(snapshot: Snapshot): readonly AlertEvent[] {
    const now = this.#options.clock.now();
    this.#window.record(snapshot, now);
    const events: AlertEvent[] = [];
    const seen = new Set<string>();
    for (const rule of this.#options.rules) {
      for (const sample of evaluate(rule.expression, { snapshot, window: this.#window, now })) {
        const levels = this.#levelsFor(rule, sample);
        if (levels === undefined) continue;
        const key = keyOf(rule, sample);
        seen.add(key);
        events.push(...this.#step(key, rule, levels, sample, snapshot, now));
      }
    }
    for (const [key, state] of this.#states) {
      if (seen.has(key)) continue;
      this.#states.delete(key);
      if (state.alert?.state === "firing") events.push(this.#event("cleared", state.alert, state, now));
    }
    this.#history.push(...events);
    const limit = this.#options.historyLimit ?? 1000;
    if (this.#history.length > limit) this.#history.splice(0, this.#history.length - limit);
    for (const event of events) this.#tell(event);
    return events;
  }

  alerts(): readonly Alert[] {
    const now = this.#options.clock.now();
    return [...this.#states.values()].flatMap(({ alert }) => {
      if (!alert) return [];
      const silence = this.#silenceOf(alert, now);
      return silence ? { ...alert, silence } : alert;
    });
  }

  history(): readonly AlertEvent[] {
    return [...this.#history];
  }

  async settled(): Promise<void> {
    await Promise.all(this.#telling);
  }

  #step(
    key: string,
    rule: AlertRule,
    levels: readonly AlertLevel[],
    sample: Sample,
    snapshot: Snapshot,
    now: number,
  ): readonly AlertEvent[] {
    let state = this.#states.get(key);
    if (!state) {
      state = {
        rule,
        levels: levels.map(() => ({ since: undefined, fired: false })),
        alert: undefined,
        firedAt: undefined,
        told: false,
      };
      this.#states.set(key, state);
    }
    for (const [i, level] of levels.entries()) advance(state.levels[i]!, level, rule.fires, sample.value, now);
    const firing = state.levels.findIndex(({ fired }) => fired);
    const holding = firing >= 0 ? firing : state.levels.findIndex(({ since }) => since !== undefined);
    const before = state.alert;
    const wasFiring = before?.state === "firing";
    if (holding < 0) {
      this.#states.delete(key);
      return wasFiring ? [this.#event("cleared", { ...before, value: sample.value }, state, now)] : [];
    }
    if (firing >= 0) state.firedAt ??= now;
    else state.firedAt = undefined;
    const alert = describe({ key, rule, level: levels[holding]!, sample, snapshot, state, firing: firing >= 0 });
    state.alert = alert;
    if (firing >= 0 && (!wasFiring || before.severity !== alert.severity)) {
      return [this.#event("firing", alert, state, now, wasFiring ? before.severity : undefined)];
    }
    // It began while nobody was to be told, and still fires now that somebody is.
    if (firing >= 0)
      return state.told || this.#isSuppressed(alert, now) ? [] : [this.#event("firing", alert, state, now)];
    return wasFiring ? [this.#event("cleared", { ...before, value: sample.value }, state, now)] : [];
  }

  #levelsFor(rule: AlertRule, { labels }: Sample): readonly AlertLevel[] | undefined {
    const override = this.#options.overrides?.findLast(
      (candidate) =>
        candidate.rule === rule.name &&
        (candidate.server === undefined || candidate.server === labels["server"]) &&
        Object.entries(candidate.labels ?? {}).every(([name, value]) => labels[name] === value),
    );
    if (!override) return rule.levels;
    if (override.disabled) return undefined;
    return rule.levels.map((level) => applyOverride(level, override));
  }

  #event(
    kind: AlertEvent["kind"],
    alert: Alert,
    state: State,
    now: number,
    previousSeverity?: AlertSeverity,
  ): AlertEvent {
    const silence = this.#silenceOf(alert, now);
    const suppressed = this.#isSuppressed(alert, now) || (kind === "cleared" && !state.told);
    state.told = kind === "firing" && (state.told || !suppressed);
    return {
      kind,
      at: new Date(now).toISOString(),
      alert: silence ? { ...alert, silence } : alert,
      ...(previousSeverity !== undefined && { previousSeverity }),
      suppressed,
    };
  }

  #silenceOf(alert: Alert, now: number): Silence | undefined {
    return silenceOf(this.#options.silences?.() ?? [], alert, now);
  }

  #isSuppressed(alert: Alert, now: number): boolean {
    return isBlackedOut(this.#options.blackouts ?? [], alert, now) || this.#silenceOf(alert, now) !== undefined;
  }

  #tell(event: AlertEvent): void {
    const telling = (async () => {
      try {
        await this.#options.onAlert(event);
      } catch (error) {
        this.#options.logger.error({ error, rule: event.alert.rule }, "an alert listener failed");
      }
    })();
    this.#telling.add(telling);
    void telling.finally(() => this.#telling.delete(telling));
  }
}

function applyOverride({ clear, ...level }: AlertLevel, override: RuleOverride): AlertLevel {
  const threshold = override.thresholds?.[level.severity];
  const ownClear = override.clear?.[level.severity];
  // The rule's clear level belongs to its own threshold; beside another it could lie on the wrong side.
  const kept = ownClear ?? (threshold === undefined ? clear : undefined);
  return {
    ...level,
    ...(threshold !== undefined && { threshold }),
    ...(override.forMs !== undefined && { forMs: override.forMs }),
    ...(kept !== undefined && { clear: kept }),
  };
}

function advance(state: LevelState, level: AlertLevel, fires: AlertRule["fires"], value: number, now: number): void {
  const limit = state.fired ? (level.clear ?? level.threshold) : level.threshold;
  const holds = fires === "above" ? value > limit : value < limit;
  if (!holds) {
    state.since = undefined;
    state.fired = false;
    return;
  }
  state.since ??= now;
  if (now - state.since >= (level.forMs ?? 0)) state.fired = true;
}

function describe(input: {
  readonly key: string;
  readonly rule: AlertRule;
  readonly level: AlertLevel;
  readonly sample: Sample;
  readonly snapshot: Snapshot;
  readonly state: State;
  readonly firing: boolean;
}): Alert {
  const { key, rule, level, sample, state } = input;
  const server = sample.labels["server"] ?? "";
  const since = Math.min(...state.levels.flatMap((each) => each.since ?? []));
  const placeholders = { ...sample.labels, value: readable(sample.value, rule.unit) };
  const advice = adviceFor(rule.name, sample.labels, serverOf(input.snapshot, server));
  const command = advice.command ?? (rule.command && fill(rule.command, placeholders, (v) => v.replaceAll("'", "''")));
  return {
    key,
    id: createHash("sha256").update(key).digest("hex").slice(0, 16),
    rule: rule.name,
    group: `${rule.name}/${server}`,
    state: input.firing ? "firing" : "pending",
    severity: level.severity,
    title: fill(rule.title, placeholders),
    server,
    labels: sample.labels,
    value: sample.value,
    threshold: level.threshold,
    ...(rule.unit !== undefined && { unit: rule.unit }),
    since: new Date(since).toISOString(),
    ...(state.firedAt !== undefined && { firedAt: new Date(state.firedAt).toISOString() }),
    hint: advice.hint ?? rule.hint,
    ...(command !== undefined && { command }),
  };
}

function serverOf(snapshot: Snapshot, name: string): ServerSnapshot | undefined {
  return snapshot.servers.find((server) => server.name === name);
}

function readable(value: number, unit: string | undefined): string {
  if (unit === "s") return formatDuration(value * 1_000);
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}

function fill(
  template: string,
  values: Readonly<Record<string, string>>,
  quote: (value: string) => string = (value) => value,
): string {
  return template.replaceAll(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : quote(value === "" ? "(none)" : value);
  });
}

function keyOf(rule: AlertRule, { labels }: Sample): string {
  const sorted = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `${rule.name}{${sorted.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(",")}}`;
}
