import type pg from "pg";
import type { PreparedStatement } from "./prepared-statements.ts";
import { type CommandTag, makeResult, noRows, RowShape, type TypeParsers } from "./row-shape.ts";
import type { StatementProfile } from "./statement-profile.ts";
import type { Statement } from "./statement.ts";

/** One statement on its way through a lane, and what the server has answered to it. */
export class InFlight {
  readonly statement: Statement;
  readonly profile: StatementProfile;
  readonly prepared: PreparedStatement | undefined;
  /** Its place in the order in which the lane sent its statements. */
  readonly number: number;
  /** When it was handed to the lane. */
  readonly since: number;
  readonly resolve: (result: pg.QueryResult) => void;
  readonly reject: (error: unknown) => void;
  /** True once its promise is settled; the server may still have to say that it is ready for more. */
  settled = false;
  /** True between its Parse and the server's word that it is parsed. */
  parsing = false;
  /** What went wrong while its rows were read. */
  misread: unknown;
  shape: RowShape | undefined;
  tag: CommandTag | undefined;
  readonly #rows: unknown[] = [];
  readonly #rowMode: string | undefined;
  readonly #types: TypeParsers;
  #parsers: ReturnType<RowShape["parsers"]> | undefined;

  constructor(of: {
    readonly statement: Statement;
    readonly profile: StatementProfile;
    readonly prepared: PreparedStatement | undefined;
    readonly number: number;
    readonly since: number;
    readonly types: TypeParsers;
    readonly resolve: (result: pg.QueryResult) => void;
    readonly reject: (error: unknown) => void;
  }) {
    const { config } = of.statement;
    this.statement = of.statement;
    this.profile = of.profile;
    this.prepared = of.prepared;
    this.number = of.number;
    this.since = of.since;
    this.resolve = of.resolve;
    this.reject = of.reject;
    this.shape = of.prepared?.shape;
    this.#rowMode = typeof config === "string" ? undefined : (config as pg.QueryArrayConfig).rowMode;
    this.#types = (typeof config === "string" ? undefined : (config.types as TypeParsers | undefined)) ?? of.types;
  }

  /** Takes in what its rows look like; `undefined` for a statement that returns none. */
  described(fields: pg.FieldDef[] | undefined): void {
    this.shape = fields ? new RowShape(fields) : noRows;
    if (this.prepared) this.prepared.shape = this.shape;
  }

  /** Reads a DataRow. Whatever a parser throws is kept, as pg does, until the statement has ended. */
  row(bytes: Buffer, start: number): void {
    if (this.misread !== undefined) return;
    const { shape } = this;
    try {
      if (!shape) throw new Error("received a row before its description");
      const parsers = (this.#parsers ??= shape.parsers(this.#types));
      this.#rows.push(
        this.#rowMode === "array" ? shape.array(parsers, bytes, start) : shape.row(parsers, bytes, start),
      );
    } catch (error) {
      this.misread = error ?? new Error("a type parser failed");
    }
  }

  result(): pg.QueryResult {
    return makeResult({
      rowMode: this.#rowMode,
      types: this.#types,
      shape: this.shape,
      parsers: this.#parsers ?? this.shape?.parsers(this.#types),
      rows: this.#rows,
      tag: this.tag,
    });
  }
}
