import { changeOfSession } from "./session-state.ts";
import { isSingleQuery } from "./sql-text.ts";

/** From here on a statement is known. */
export const settledSamples = 5;
/** A lane whose statement takes longer than this gets no more. Once a statement is known, no run counts for more. */
export const heldUpMs = 20;
/** Over about how many runs those are counted that held up the others. */
const remembered = 1_000;
/** More of them among these, and the statement is to blame, not the machine. */
const mostHoldUps = 5;

/** What is known of one statement text: whether it may share a connection, how long it takes, what it is called. */
export class StatementProfile {
  readonly text: string;
  /** One statement that commits as a whole: it can be prepared. */
  readonly single: boolean;
  /** It only reads, waits for nobody's row locks, and neither uses nor changes the state of its session. */
  readonly shareable: boolean;
  /** What it would leave behind in its session, in SQL's word for it. */
  readonly changesSession: string | undefined;
  uses = 0;
  /** Moving average of its time on the server, milliseconds. */
  averageMs = 0;
  /** How often its time was taken. */
  samples = 0;
  /** How many of its last runs took so long that they held others up, the older ones counting less. */
  #holdUps = 0;
  /** Part of its prepared name; a plan that went stale gets a new one. */
  revision = 0;
  /** The generation of the schema its name was made for. */
  epoch: number;
  /** Set when its plans keep going stale: it is not prepared again. */
  unpreparable = false;
  preparedName: string | undefined;

  constructor(text: string, epoch = 0) {
    this.text = text;
    this.epoch = epoch;
    this.single = isSingleQuery(text);
    this.shareable = this.single && onlyReads(text);
    this.changesSession = changeOfSession(text);
  }

  /** True when it takes long now and then, as with some parameters. A stall of the machine alone is no reason. */
  get unsteady(): boolean {
    return this.#holdUps > mostHoldUps;
  }

  /** It kept the server busy for this long. */
  took(durationMs: number): void {
    this.samples += 1;
    if (this.samples <= settledSamples) {
      this.averageMs += (durationMs - this.averageMs) / this.samples;
      return;
    }
    this.averageMs += (Math.min(durationMs, heldUpMs) - this.averageMs) / settledSamples;
    this.#holdUps *= 1 - 1 / remembered;
    if (durationMs > heldUpMs) this.#holdUps += 1;
  }
}

const reading = /^\s*(?:select|values|table|with)\b/i;
/** Words of statements that write or lock rows, and of functions that use, change or hold the session. */
const notShared =
  /\b(?:insert|update|delete|merge|into|share|set_config|setval|nextval|currval|lastval|pg_sleep\w*|pg_(?:try_)?advisory\w*|pg_notify|pg_(?:cancel|terminate)_backend|pg_backend_pid|pg_temp\w*|dblink\w*|lo_\w+|pg_promote|pg_wal_replay\w*|pg_switch_wal|pg_logical\w*|pg_export_snapshot)\b/i;

/** Careful rather than clever: a word in a literal counts too, and costs nothing but the sharing. */
function onlyReads(text: string): boolean {
  return reading.test(text) && !notShared.test(text);
}

/**
 * Profiles of the statements used last. Two generations stand in for an exact order of use: what was not used since the
 * younger one was begun is forgotten with the older one, and finding a profile moves nothing.
 */
export class StatementProfiles {
  readonly #most: number;
  #young = new Map<string, StatementProfile>();
  #old = new Map<string, StatementProfile>();
  #last: StatementProfile | undefined;
  #epoch = 0;

  constructor(most = 1_000) {
    this.#most = most;
  }

  of(text: string): StatementProfile {
    if (this.#last?.text === text) return this.#last;
    let profile = this.#young.get(text);
    if (!profile) {
      profile = this.#old.get(text) ?? new StatementProfile(text, this.#epoch);
      if (this.#young.size >= this.#most / 2) {
        this.#old = this.#young;
        this.#young = new Map();
      }
      this.#young.set(text, profile);
    }
    this.#last = profile;
    return profile;
  }

  /**
   * Gives every statement another name from its next use on. The server keeps the parameter types of a statement that
   * is prepared: after `alter column … type`, a value would go through the type the column had before.
   */
  renameAll(): void {
    this.#epoch += 1;
    this.#last = undefined;
    for (const profile of [...this.#young.values(), ...this.#old.values()]) {
      profile.epoch = this.#epoch;
      profile.preparedName = undefined;
    }
  }
}
