/** Why a migration file cannot be used. Codes are stable. */
export type FileProblemCode =
  | "MIGRATE-SYNTAX"
  | "MIGRATE-ENCODING"
  | "MIGRATE-DIRECTIVE"
  | "MIGRATE-FILE-NAME"
  | "MIGRATE-DUPLICATE"
  | "MIGRATE-EMPTY"
  | "MIGRATE-JOURNAL"
  | "MIGRATE-PLACEHOLDER"
  | "MIGRATE-STATEMENT";

/** One thing wrong with one file, with the place and the way out. */
export interface FileProblem {
  readonly code: FileProblemCode;
  /** Name inside the folder. */
  readonly file: string;
  /** From 1; null when the whole file is meant. */
  readonly line: number | null;
  /** From 1, in characters; null with `line`. */
  readonly column: number | null;
  readonly message: string;
  /** The line and a caret under the column; null without a place. */
  readonly excerpt: string | null;
  readonly hint: string;
}

/** A place in a text, from 1, columns in characters. */
export interface TextPlace {
  readonly line: number;
  readonly column: number;
}

/** Where the UTF-16 index `index` of `text` stands. */
export function placeOf(text: string, index: number): TextPlace {
  const before = text.slice(0, index);
  const lineStart = before.lastIndexOf("\n") + 1;
  let line = 1;
  for (let at = before.indexOf("\n"); at !== -1; at = before.indexOf("\n", at + 1)) line++;
  return { line, column: Array.from(before.slice(lineStart)).length + 1 };
}

/** The same for many indexes of one text, in ascending order: each character is looked at once. */
export class TextPlaces {
  readonly #text: string;
  #index = 0;
  #line = 1;
  #column = 1;

  constructor(text: string) {
    this.#text = text;
  }

  at(index: number): TextPlace {
    if (index < this.#index) [this.#index, this.#line, this.#column] = [0, 1, 1];
    for (; this.#index < index; this.#index++) {
      const unit = this.#text.charCodeAt(this.#index);
      if (unit === 10) [this.#line, this.#column] = [this.#line + 1, 1];
      // The second half of a character.
      else if (unit < 0xdc00 || unit > 0xdfff) this.#column++;
    }
    return { line: this.#line, column: this.#column };
  }
}

/** The line of `place` with a caret under its column, long lines cut around it. */
export function excerptOf(text: string, place: TextPlace): string {
  const line = Array.from((text.split("\n")[place.line - 1] ?? "").replaceAll("\t", " ").replace(/\r$/, ""));
  const start = Math.max(0, place.column - 61);
  const shown = line.slice(start, start + 100).join("");
  const prefix = `${place.line} | ${start > 0 ? "…" : ""}`;
  return `${prefix}${shown}\n${" ".repeat(prefix.length + place.column - 1 - start)}^`;
}
