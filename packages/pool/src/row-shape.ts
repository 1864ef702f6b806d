import pg from "pg";

type Parser = (value: string) => unknown;

/** Where the parsers of columns come from: a statement's own `types`, or the client's. */
export interface TypeParsers {
  getTypeParser(oid: number, format: "text"): Parser;
}

/** pg's result class, with the parts its types leave out. */
type Result = pg.QueryResult & {
  _parsers: Parser[] | undefined;
  _prebuiltEmptyResultObject: object | null;
};
const ResultClass = (pg as unknown as { Result: new (rowMode: string | undefined, types: TypeParsers) => Result })
  .Result;

/** What the rows of a statement look like. A prepared statement keeps it for as long as it is valid. */
export class RowShape {
  readonly fields: pg.FieldDef[];
  readonly #names: readonly string[];
  readonly #empty: object;

  constructor(fields: pg.FieldDef[]) {
    this.fields = fields;
    this.#names = fields.map(({ name }) => name);
    // As pg makes its rows: every column there from the start, a name that comes twice once.
    const row = Object.create(null) as Record<string, null>;
    for (const name of this.#names) row[name] = null;
    this.#empty = { ...row };
  }

  /** Looked up for each result, since programs change them at any time. */
  parsers(types: TypeParsers): Parser[] {
    return this.fields.map(({ dataTypeID }) => types.getTypeParser(dataTypeID, "text"));
  }

  /** Reads the body of a DataRow message. */
  row(parsers: readonly Parser[], bytes: Buffer, start: number): object {
    const row = { ...this.#empty } as Record<string, unknown>;
    const names = this.#names;
    let at = start + 2;
    for (let column = 0; column < names.length; column += 1) {
      const length = int32(bytes, at);
      at += 4;
      if (length < 0) row[names[column]!] = null;
      else {
        row[names[column]!] = parsers[column]!(textOf(bytes, at, at + length));
        at += length;
      }
    }
    return row;
  }

  /** The same as an array. */
  array(parsers: readonly Parser[], bytes: Buffer, start: number): unknown[] {
    const row: unknown[] = [];
    let at = start + 2;
    for (const parser of parsers) {
      const length = int32(bytes, at);
      at += 4;
      if (length < 0) row.push(null);
      else {
        row.push(parser(textOf(bytes, at, at + length)));
        at += length;
      }
    }
    return row;
  }

  /** What pg would have made of it all. */
  complete(result: Result, parsers: Parser[] | undefined): void {
    if (this === noRows) return;
    result.fields = this.fields.slice();
    if (this.fields.length > 0) result._parsers = parsers;
    result._prebuiltEmptyResultObject = { ...this.#empty };
  }
}

/** Of a statement that returns no rows at all, not even none. */
export const noRows: RowShape = new RowShape([]);

/** A result of the class pg gives, of rows read already. `tag` is what the server said it did: "SELECT 1". */
export function makeResult(of: {
  readonly rowMode: string | undefined;
  readonly types: TypeParsers;
  readonly shape: RowShape | undefined;
  readonly parsers: Parser[] | undefined;
  readonly rows: unknown[];
  readonly tag: CommandTag | undefined;
}): pg.QueryResult {
  const result = new ResultClass(of.rowMode, of.types);
  of.shape?.complete(result, of.parsers);
  result.rows = of.rows as never[];
  if (of.tag) {
    result.command = of.tag.command;
    result.rowCount = of.tag.rowCount;
    result.oid = of.tag.oid as number;
  }
  return result;
}

/** What a command did. */
export interface CommandTag {
  readonly command: string;
  readonly rowCount: number | null;
  readonly oid: number | null;
}

const tags = new Map<string, CommandTag>();
const mostTags = 1_000;

/** Reads the body of a CommandComplete message. Most are seen again and again. */
export function readTag(bytes: Buffer, start: number, end: number): CommandTag | undefined {
  const text = textOf(bytes, start, end - 1);
  const seen = tags.get(text);
  if (seen) return seen;
  const match = /^([A-Za-z]+)(?: (\d+))?(?: (\d+))?/.exec(text);
  if (!match) return undefined;
  const [, command = "", first, second] = match;
  const tag: CommandTag = {
    command,
    rowCount: first === undefined ? null : Number(second ?? first),
    oid: second === undefined ? null : Number(first),
  };
  if (tags.size < mostTags) tags.set(text, tag);
  return tag;
}

function int32(bytes: Buffer, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

/** Short texts, most numbers among them, are read faster here than by a call out of JavaScript. */
function textOf(bytes: Buffer, start: number, end: number): string {
  const length = end - start;
  if (length === 0) return "";
  if (length <= 4) {
    const a = bytes[start]!;
    const b = length > 1 ? bytes[start + 1]! : 0;
    const c = length > 2 ? bytes[start + 2]! : 0;
    const d = length > 3 ? bytes[start + 3]! : 0;
    if ((a | b | c | d) < 0x80) {
      if (length === 1) return String.fromCharCode(a);
      if (length === 2) return String.fromCharCode(a, b);
      return length === 3 ? String.fromCharCode(a, b, c) : String.fromCharCode(a, b, c, d);
    }
  }
  return bytes.toString("utf8", start, end);
}
