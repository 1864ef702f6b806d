import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { commands } from "./commands.ts";
import { run } from "./run.ts";

const controller = new AbortController();
let askedAt: number | undefined;
// One Ctrl-C can arrive twice, from the terminal and from the launcher; only a later one forces.
const stop = (signal: string): void => {
  if (askedAt === undefined) {
    askedAt = Date.now();
    process.stderr.write("\nstopping; once more to force\n");
    controller.abort(signal);
  } else if (Date.now() - askedAt > 500 && signal !== "SIGHUP") process.exit(signal === "SIGTERM" ? 143 : 130);
};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop(signal));
// The launcher's channel: a signal passed on, or its end, when the launcher is gone however it went.
process.on("message", (message: { signal?: string }) => stop(message.signal ?? "SIGTERM"));
process.on("disconnect", () => stop("SIGHUP"));
// A reader that closed early (`db … | head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

process.stderr.on("error", () => undefined);

const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
// What a command waits for may hang on timers that keep no process alive; the command itself does.
const alive = setInterval(() => undefined, 60_000);
process.exitCode = await run(commands, {
  argv: process.argv.slice(2),
  env: process.env,
  cwd: process.env["INIT_CWD"] ?? process.cwd(),
  homeDirectory: homedir(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: controller.signal,
  version: manifest.version,
});
clearInterval(alive);
process.removeAllListeners("disconnect");
if (process.connected) process.disconnect();
// Everything was closed above. What still holds the process open after a moment is not worth waiting for.
setTimeout(() => process.exit(), 2_000).unref();
