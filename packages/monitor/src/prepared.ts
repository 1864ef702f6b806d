import { createHash } from "node:crypto";
import { type Queryable, quoteLiteral, sqlStateOf } from "@db/core";
import { toText } from "./collector.ts";

/** Statements the session no longer knows: somebody ran `discard all`, or a pooler gave another session. */
const unknownStatement = "26000";
const alreadyPrepared = "42P05";

/**
 * Plans each statement once a session: planning a small one costs the server three times what running it does.
 * For sessions that belong to the monitor only; what is prepared stays with the session.
 */
export class PreparedStatements {
  /** Names by text, for good: the texts are a fixed few. */
  readonly #names = new Map<string, string>();
  /** What the session of each server process knows. */
  readonly #known = new Map<number, Set<string>>();

  /** @param pid the server process of the session */
  in(session: Queryable, pid: number): Queryable {
    let known = this.#known.get(pid);
    if (!known) {
      // A pool of the monitor's has a session or two; more were there before and are gone.
      if (this.#known.size >= 8) this.#known.clear();
      known = new Set();
      this.#known.set(pid, known);
    }
    const prepared = known;
    return {
      query: async <Row extends object>(text: string, values: readonly unknown[] = []) => {
        const name = this.#nameOf(text);
        if (!prepared.has(name)) await prepare(session, name, text, prepared);
        const run = `execute ${name}${values.length === 0 ? "" : `(${values.map(literal).join(", ")})`}`;
        try {
          return await session.query<Row>(run);
        } catch (error) {
          if (sqlStateOf(error) !== unknownStatement) throw error;
          prepared.clear();
          await prepare(session, name, text, prepared);
          return await session.query<Row>(run);
        }
      },
    };
  }

  #nameOf(text: string): string {
    let name = this.#names.get(text);
    if (name === undefined) {
      // The name tells the text: what an earlier monitor of the session prepared under it is the same statement.
      name = `db_monitor_${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
      this.#names.set(text, name);
    }
    return name;
  }
}

async function prepare(session: Queryable, name: string, text: string, known: Set<string>): Promise<void> {
  try {
    await session.query(`prepare ${name} as ${text}`);
  } catch (error) {
    if (sqlStateOf(error) !== alreadyPrepared) throw error;
  }
  known.add(name);
}

function literal(value: unknown): string {
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : quoteLiteral(String(value));
  return value === null || value === undefined ? "null" : quoteLiteral(toText(value));
}
