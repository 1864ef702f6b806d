import type { RowShape } from "./row-shape.ts";

/** One statement that a connection has prepared, or has been told to. */
export interface PreparedStatement {
  readonly name: string;
  readonly text: string;
  /** Named by the pool and so the pool's to forget; the others are their users'. */
  readonly own: boolean;
  /** True once its Parse was sent. */
  sent: boolean;
  /** The columns of its rows; undefined before its first answer. A prepared statement never changes them. */
  shape: RowShape | undefined;
  lastUse: number;
}

/** pg's own record of what is prepared on a connection: text by name. */
export interface PgRecord {
  readonly parsedStatements?: Record<string, string>;
}

/** What is prepared on one connection. Kept in step with pg's own record, since pg sends statements on it too. */
export class PreparedStatements {
  readonly #pg: PgRecord;
  readonly #byName = new Map<string, PreparedStatement>();
  #own = 0;
  #uses = 0;

  constructor(pg: PgRecord) {
    this.#pg = pg;
  }

  /** The statement of this name, noted as used now; undefined when the name is another statement's. */
  use(name: string, text: string, own: boolean): PreparedStatement | undefined {
    let statement = this.#byName.get(name);
    const { parsedStatements } = this.#pg;
    if (!statement) {
      statement = { name, text, own, sent: false, shape: undefined, lastUse: 0 };
      this.#byName.set(name, statement);
      if (own) this.#own += 1;
    }
    if (!statement.sent) {
      const theirs = parsedStatements?.[name];
      if (theirs !== undefined && theirs !== text) return undefined;
      if (theirs !== undefined) statement.sent = true;
    }
    if (statement.text !== text) return undefined;
    statement.lastUse = this.#uses += 1;
    return statement;
  }

  /** Takes the pool's own ones that were used longest ago out, down to `most`. */
  *takeSurplus(most: number): Generator<PreparedStatement> {
    while (this.#own > most) {
      let oldest: PreparedStatement | undefined;
      for (const statement of this.#byName.values()) {
        if (statement.own && (!oldest || statement.lastUse < oldest.lastUse)) oldest = statement;
      }
      if (!oldest) return;
      this.forget(oldest);
      yield oldest;
    }
  }

  /** The server has it now: pg need not prepare it again either. */
  parsed({ name, text }: PreparedStatement): void {
    const { parsedStatements } = this.#pg;
    if (parsedStatements) parsedStatements[name] = text;
  }

  /** It is not there, or not for long. */
  forget(statement: PreparedStatement): void {
    if (this.#byName.get(statement.name) !== statement) return;
    this.#byName.delete(statement.name);
    if (statement.own) this.#own -= 1;
    const { parsedStatements } = this.#pg;
    if (parsedStatements) delete parsedStatements[statement.name];
  }

  /** The server was told to forget them all. */
  forgetAll(): void {
    this.#byName.clear();
    this.#own = 0;
    Object.assign(this.#pg, { parsedStatements: {}, submittedNamedStatements: {} });
  }
}
