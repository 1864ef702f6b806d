import { excerptOf, type FileProblem, placeOf } from "./file-problem.ts";

/** Values for `${name}` in migration files. They are put in as they are: quote them where SQL wants quotes. */
export type Placeholders = Readonly<Record<string, string>>;

const mark = /(\\?)\$\{([A-Za-z_][\w.-]*)\}/g;

/**
 * Puts the values in; `\${name}` stands for the text `${name}` itself. A name without a value goes to `problems`. With
 * no values at all a text is left as it is: SQL may hold such marks of its own. Checksums are of the text before.
 */
export function fillPlaceholders(
  file: string,
  text: string,
  values: Placeholders | undefined,
  problems: FileProblem[],
): string {
  if (values === undefined || !text.includes("${")) return text;
  return text.replaceAll(mark, (whole: string, escape: string, name: string, index: number) => {
    if (escape !== "") return whole.slice(1);
    if (Object.hasOwn(values, name)) return values[name] ?? "";
    const place = placeOf(text, index);
    const known = Object.keys(values);
    problems.push({
      code: "MIGRATE-PLACEHOLDER",
      file,
      ...place,
      message: `the placeholder \${${name}} has no value`,
      excerpt: excerptOf(text, place),
      hint:
        known.length === 0
          ? "Give it one in placeholders."
          : `Give it one in placeholders; known: ${known.join(", ")}.`,
    });
    return whole;
  });
}
