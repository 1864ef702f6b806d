import { isAbsolute, resolve } from "node:path";

/** A file that was read. */
export interface FileContent {
  readonly text: string;
  /** Permission bits, where the system has them; `undefined` on Windows. */
  readonly mode?: number;
}

/** Reads a text file; `undefined` when there is none. May throw when it cannot be read. */
export type ReadFile = (path: string) => FileContent | undefined;

/** A path made absolute; as it stands when it is not known what it is relative to. */
export function resolvePath(path: string, directory: string | undefined): string {
  return directory === undefined || isAbsolute(path) ? path : resolve(directory, path);
}

/** The content of a file without its last line break, or what is wrong with it. */
export function openText(
  readFile: ReadFile | undefined,
  path: string,
  directory: string | undefined,
): (FileContent & { readonly path: string }) | { readonly wrong: string } {
  const absolute = resolvePath(path, directory);
  try {
    const content = readFile?.(absolute);
    if (content === undefined) return { wrong: "names a file that does not exist" };
    return { ...content, text: content.text.replace(/\r?\n$/, ""), path: absolute };
  } catch (error) {
    const code = (error as { code?: unknown } | null)?.code;
    return { wrong: `names a file that cannot be read${typeof code === "string" ? ` (${code})` : ""}` };
  }
}
