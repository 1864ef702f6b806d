import { AsyncLocalStorage } from "node:async_hooks";
import { createHash } from "node:crypto";
import { type Clock, DbError, messageOf, redactUrls } from "@db/core";
import { openSharedLines, type SharedLines } from "./audit-file.ts";
import type { Events } from "./events.ts";

/** One operation, as it is kept: what was done, by whom, to what, with which outcome. */
export interface AuditEntry {
  readonly sequence: number;
  /** ISO 8601. */
  readonly at: string;
  /** Dotted, stable: `migration.apply`, `backup.create`. */
  readonly operation: string;
  readonly actor: string;
  readonly outcome: "ok" | "failed";
  readonly durationMs: number;
  /** Plain facts about the operation. Holds no secrets and no row values. */
  readonly details: Readonly<Record<string, unknown>>;
  /** SHA-256 of the entry before this one; 64 zeros for the first. */
  readonly previous: string;
  /** SHA-256 of this entry without this field. */
  readonly hash: string;
}

/** The trail was changed or cut after it was written. */
export class AuditTrailBrokenError extends DbError {
  override readonly code = "ORCHESTRATOR_AUDIT_BROKEN";
}

/**
 * An append-only, hash-chained record of every operation, one JSON object a line. An entry is on disk before the
 * operation's caller goes on; a line torn by a crash is set aside, never silently dropped.
 */
export interface AuditTrail {
  /**
   * Runs `work` and records it, whether it succeeds or throws.
   * @param describe picks the facts worth keeping out of the result
   */
  run<T>(operation: string, work: () => Promise<T>, describe?: (result: T) => Record<string, unknown>): Promise<T>;
  /**
   * Runs `work` on behalf of somebody: whatever is recorded within it, by whichever service, names them as the actor and
   * bears these facts beside its own.
   */
  onBehalf<T>(of: OnBehalf, work: () => Promise<T>): Promise<T>;
  /** All entries, oldest first. @throws {AuditTrailBrokenError} when the chain does not hold */
  entries(): Promise<readonly AuditEntry[]>;
  /** The newest entry of an operation that succeeded. */
  last(operation: string): Promise<AuditEntry | undefined>;
}

/** Who asked for an operation, and what is known of the asking. */
export interface OnBehalf {
  readonly actor: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

const genesis = "0".repeat(64);

/** @param file where the trail lives; `undefined` keeps it in memory for the life of the process */
export function createAuditTrail(options: {
  readonly file: string | undefined;
  readonly actor: string;
  readonly clock: Clock;
  readonly events: Events;
}): AuditTrail {
  const { file, actor, clock, events } = options;
  const lines = file === undefined ? inMemory() : openSharedLines(file);
  const where = file ?? "in memory";
  const asked = new AsyncLocalStorage<OnBehalf>();

  const append = (fields: Omit<AuditEntry, "sequence" | "previous" | "hash">): Promise<void> =>
    lines.append((known) => {
      const text = known.at(-1);
      const last = text === undefined ? undefined : parseEntry(text, known.length, where);
      const unsigned = { sequence: (last?.sequence ?? 0) + 1, ...fields, previous: last?.hash ?? genesis };
      return JSON.stringify({ ...unsigned, hash: hashOf(unsigned) });
    });

  const entries = async (): Promise<AuditEntry[]> => {
    const all = (await lines.read()).map((line, index) => parseEntry(line, index + 1, where));
    const broken = firstBrokenEntry(all);
    if (broken === undefined) return all;
    throw new AuditTrailBrokenError(`audit trail ${where} does not hold at entry ${broken}`, {
      hint: "Someone changed or cut the file: keep it as evidence, move it away and start a new one.",
    });
  };

  return {
    async run(operation, work, describe = () => ({})) {
      const startedAt = clock.now();
      const record = async (outcome: "ok" | "failed", details: Record<string, unknown>): Promise<void> => {
        const durationMs = clock.now() - startedAt;
        const { actor: by = actor, details: also = {} } = asked.getStore() ?? {};
        await append({
          at: new Date(startedAt).toISOString(),
          operation,
          actor: by,
          outcome,
          durationMs,
          details: { ...also, ...details },
        });
        events.emit("operation:recorded", { operation, outcome, durationMs });
      };
      let result;
      try {
        result = await work();
      } catch (error) {
        await record("failed", {
          error: redactUrls(messageOf(error)),
          code: (error as { code?: unknown }).code ?? null,
        });
        throw error;
      }
      await record("ok", describe(result));
      return result;
    },
    onBehalf: (of, work) => asked.run(of, work),
    entries,
    last: async (operation) =>
      (await entries()).findLast((entry) => entry.operation === operation && entry.outcome === "ok"),
  };
}

/** Checks the chain of a trail. Pure. @returns the sequence of the first entry that does not hold */
export function firstBrokenEntry(entries: readonly AuditEntry[]): number | undefined {
  let previous = genesis;
  let sequence = 0;
  for (const entry of entries) {
    const { hash, ...unsigned } = entry;
    sequence += 1;
    if (entry.sequence !== sequence || entry.previous !== previous || hash !== hashOf(unsigned)) return sequence;
    previous = hash;
  }
  return undefined;
}

function hashOf(unsigned: Omit<AuditEntry, "hash">): string {
  return createHash("sha256").update(JSON.stringify(unsigned)).digest("hex");
}

function parseEntry(line: string, number: number, file: string): AuditEntry {
  try {
    return JSON.parse(line) as AuditEntry;
  } catch (cause) {
    throw new AuditTrailBrokenError(`audit trail ${file} holds no valid entry on line ${number}`, {
      cause,
      hint: "Someone changed the file: keep it as evidence, move it away and start a new one.",
    });
  }
}

function inMemory(): SharedLines {
  const lines: string[] = [];
  return {
    read: async () => lines,
    append: async (make) => {
      lines.push(make(lines));
    },
  };
}
