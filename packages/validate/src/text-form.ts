/** A regular expression that most of some texts match, and how it reads to people. */
export interface TextForm {
  readonly pattern: string;
  readonly name: string;
  /** Share of the texts that match, 0 to 1. */
  readonly share: number;
}

// Written in the part of the syntax that JavaScript and PostgreSQL read alike.
const known: readonly { readonly name: string; readonly pattern: string }[] = [
  { name: "an e-mail address", pattern: "^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$" },
  { name: "a UUID", pattern: "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$" },
  { name: "a web address", pattern: "^https?://[^[:space:]]+$" },
  { name: "a date", pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" },
  { name: "a whole number", pattern: "^-?[0-9]+$" },
  { name: "a decimal number", pattern: "^-?[0-9]*[.]?[0-9]+$" },
];

/**
 * The narrowest form that at least `minShare` of the texts have: runs of digits or letters of a fixed length range
 * between fixed signs, or a well-known form. Undefined for free text.
 */
export function textForm(texts: readonly string[], minShare: number): TextForm | undefined {
  if (texts.length < 5) return undefined;
  const shape = commonShape(texts, minShare);
  if (shape !== undefined) return shape;
  for (const { name, pattern } of known) {
    const expression = new RegExp(pattern.replaceAll("[:space:]", "\\s"));
    const share = texts.filter((text) => expression.test(text)).length / texts.length;
    if (share >= minShare) return { name, pattern, share };
  }
  return undefined;
}

interface Run {
  readonly kind: string;
  readonly length: number;
}

function commonShape(texts: readonly string[], minShare: number): TextForm | undefined {
  const groups = Map.groupBy(texts, (text) =>
    runsOf(text)
      .map((run) => run.kind)
      .join(" "),
  );
  const [, largest = []] = [...groups].sort((a, b) => b[1].length - a[1].length)[0] ?? [];
  const share = largest.length / texts.length;
  const runs = largest.map(runsOf);
  const first = runs[0] ?? [];
  // Words alone are free text, and a long row of runs is a sentence.
  if (share < minShare || first.length === 0 || first.length > 9) return undefined;
  if (!first.some((run) => run.kind === "[0-9]")) return undefined;
  const parts = first.map((run, index) => {
    const lengths = runs.map((row) => row[index]!.length);
    const [least, most] = [Math.min(...lengths), Math.max(...lengths)];
    if (run.kind !== "[0-9]" && !run.kind.startsWith("[a-z") && !run.kind.startsWith("[A-Z")) {
      return least === most ? run.kind.repeat(least) : undefined;
    }
    // Lengths that vary widely say nothing; lengths that are fixed say most.
    return least === most ? `${run.kind}{${least}}` : most - least <= 3 ? `${run.kind}{${least},${most}}` : undefined;
  });
  if (parts.includes(undefined)) return undefined;
  const pattern = `^${parts.join("")}$`;
  return { name: "one form", pattern, share };
}

function runsOf(text: string): readonly Run[] {
  const runs: { kind: string; length: number }[] = [];
  for (const char of text.slice(0, 200)) {
    const kind = /[0-9]/.test(char)
      ? "[0-9]"
      : /[a-z]/.test(char)
        ? "[a-z]"
        : /[A-Z]/.test(char)
          ? "[A-Z]"
          : char.replace(/[^A-Za-z0-9 ]/, (sign) => (sign === "^" || sign === "\\" ? `\\${sign}` : `[${sign}]`));
    const last = runs.at(-1);
    if (last?.kind === kind) last.length += 1;
    else runs.push({ kind, length: 1 });
  }
  return runs;
}
