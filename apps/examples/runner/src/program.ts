import { isDbError, messageOf, redactUrls } from "@db/core";
import type { Application } from "@db/orchestrator";
import { exampleText } from "./example-text.ts";
import { runExample } from "./run-example.ts";

/**
 * The whole of an example's program: reads `DATABASE_URL` and an optional `--scale`, runs, prints, and sets the exit
 * code (0 done, 1 failed, 2 called wrongly).
 */
export async function runExampleProgram(application: Application): Promise<void> {
  const url = process.env["DATABASE_URL"];
  const scale = readScale(process.argv.slice(2));
  if (!url || Number.isNaN(scale)) {
    const problem = url ? "--scale takes a number above 0 and at most 100" : "DATABASE_URL is not set";
    process.stderr.write(`${problem}\nGive it a database of its own: DATABASE_URL=postgres://… [--scale 0.1]\n`);
    process.exitCode = 2;
    return;
  }
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  process.once("SIGTERM", () => stop.abort());
  try {
    const size = scale === undefined ? {} : { scale };
    const report = await runExample(application, { url, signal: stop.signal, ...size });
    process.stdout.write(exampleText(application, report));
  } catch (error) {
    const hint = isDbError(error) && error.hint ? `\n${error.hint}` : "";
    process.stderr.write(`${redactUrls(messageOf(error))}${hint}\n`);
    process.exitCode = 1;
  }
}

function readScale(words: readonly string[]): number | undefined {
  if (words.length === 0) return undefined;
  const value = words.length === 2 && words[0] === "--scale" ? Number(words[1]) : Number.NaN;
  return value > 0 && value <= 100 ? value : Number.NaN;
}
