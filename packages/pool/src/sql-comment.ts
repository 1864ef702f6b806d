import { statementText, type Statement } from "./statement.ts";

/** What the server's log and statistics are told of where a statement comes from: `{ route: "/bills", action: "list" }`. */
export type SqlTags = Readonly<Record<string, string>>;

/**
 * Tags as sqlcommenter writes them: sorted, percent-encoded, `key='value'`.
 * @see https://google.github.io/sqlcommenter/spec/
 */
export function sqlComment(tags: SqlTags): string {
  const pairs = Object.entries(tags)
    .map(([key, value]) => [encode(key), encode(value)] as const)
    .filter(([key]) => key !== "")
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return pairs.length === 0 ? "" : `/*${pairs.map(([key, value]) => `${key}='${value}'`).join(",")}*/`;
}

/** A statement with a comment behind it, before its semicolon. One that has a comment already is left as it is. */
export function withComment(text: string, comment: string): string {
  if (comment === "" || text.includes("/*") || text.includes("--")) return text;
  const end = /[\s;]*$/.exec(text)!.index;
  return `${text.slice(0, end)} ${comment}${text.slice(end).trimEnd()}`;
}

/** Tells statements by the same tags, or by those of each moment. */
export class Annotator {
  readonly #constant: string;
  readonly #constantTags: SqlTags;
  readonly #changing: (() => SqlTags) | undefined;
  readonly #prepares: boolean;
  readonly #annotated = new Map<string, string>();

  constructor(tags: SqlTags | (() => SqlTags) | undefined, prepares: boolean) {
    this.#changing = typeof tags === "function" ? tags : undefined;
    this.#constantTags = typeof tags === "object" ? tags : {};
    this.#constant = sqlComment(this.#constantTags);
    this.#prepares = prepares;
  }

  /**
   * The statement with its tags. Those that change are left out where the statement may be prepared: every text would
   * be planned, and remembered, as another one.
   */
  annotate(
    statement: Statement,
    own: { readonly tags?: SqlTags | undefined; readonly prepare?: boolean | undefined },
  ): Statement {
    if (this.#constant === "" && !this.#changing && !own.tags) return statement;
    const { config } = statement;
    const name = typeof config === "string" ? undefined : config.name;
    const mayChange = name === undefined && (own.prepare === false || !this.#prepares);
    const text = statementText(config);
    if (text === "") return statement;
    const tagged =
      mayChange && (this.#changing || own.tags)
        ? withComment(text, this.#changingComment(own.tags))
        : this.#withConstant(text);
    if (tagged === text) return statement;
    return { ...statement, config: typeof config === "string" ? tagged : { ...config, text: tagged }, untagged: text };
  }

  #changingComment(own: SqlTags | undefined): string {
    return sqlComment({ ...this.#constantTags, ...this.#changing?.(), ...own });
  }

  #withConstant(text: string): string {
    if (this.#constant === "") return text;
    let tagged = this.#annotated.get(text);
    if (tagged === undefined) {
      tagged = withComment(text, this.#constant);
      if (this.#annotated.size >= 1_000) this.#annotated.clear();
      this.#annotated.set(text, tagged);
    }
    return tagged;
  }
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/['!()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
