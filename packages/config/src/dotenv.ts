/** One assignment of a `.env` file. */
export interface DotenvEntry {
  readonly value: string;
  /** Counted from 1. */
  readonly line: number;
}

export interface Dotenv {
  readonly entries: ReadonlyMap<string, DotenvEntry>;
  /** Lines that are neither an assignment, a comment nor empty. */
  readonly unreadableLines: readonly number[];
}

const assignment = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*=[ \t]*/;

/**
 * Reads a `.env` file: `NAME=value`, `export NAME=value`, comments, single, double and back quotes; a quoted value
 * may span lines, and `\n` is a line break within double quotes. Nothing is expanded. The last assignment wins.
 */
export function parseDotenv(text: string): Dotenv {
  const entries = new Map<string, DotenvEntry>();
  const unreadableLines: number[] = [];
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/);
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index]!;
    if (/^\s*(#|$)/.test(line)) continue;
    const match = assignment.exec(line);
    if (!match) {
      unreadableLines.push(index + 1);
      continue;
    }
    const number = index + 1;
    const rest = line.slice(match[0].length);
    const quote = /^["'`]/.exec(rest)?.[0];
    let value = unquoted(rest);
    if (quote !== undefined) {
      const closed = closingLine(lines, index, rest, quote);
      if (closed !== undefined) {
        value =
          quote === '"' ? closed.value.replaceAll(String.raw`\n`, "\n").replaceAll(String.raw`\r`, "\r") : closed.value;
        index = closed.index;
      }
    }
    entries.set(match[1]!, { value, line: number });
  }
  return { entries, unreadableLines };
}

function unquoted(text: string): string {
  // As in a shell, "#" starts a comment only after a space: a password may hold one.
  const comment = /(^|\s)#/.exec(text);
  return (comment === null ? text : text.slice(0, comment.index)).trim();
}

/** Finds the line that closes a quote; without one the text is taken as it stands, as other readers do. */
function closingLine(
  lines: readonly string[],
  start: number,
  first: string,
  quote: string,
): { readonly value: string; readonly index: number } | undefined {
  let text = first.slice(1);
  for (let index = start; index < lines.length; index += 1) {
    if (index > start) text += `\n${lines[index]!}`;
    const end = text.indexOf(quote, text.length - (index > start ? lines[index]!.length : text.length));
    if (end !== -1) return { value: text.slice(0, end), index };
  }
  return undefined;
}
