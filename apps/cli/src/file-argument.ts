import { readFile, writeFile } from "node:fs/promises";
import { text as textOf } from "node:stream/consumers";
import type { Context } from "./context.ts";

/** Reads a file that a flag names; `-` is standard input. */
export function readFileArgument(file: string, context: Context): Promise<string> {
  return file === "-" ? textOf(context.stdin) : readFile(file, "utf8");
}

/** Writes a file that a flag names. `-`, standard output, is left to the result of the command. */
export async function writeFileArgument(file: string, content: string, context: Context): Promise<void> {
  if (file === "-" || context.dryRun) return;
  await writeFile(file, content.endsWith("\n") ? content : `${content}\n`);
}
