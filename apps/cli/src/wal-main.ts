// archive_command and restore_command start this once per segment, so it reads no configuration and little code; what
// it does not know is left to the whole program, which does the same.
import { isPlainWalCall, runWalCommand } from "@db/backup/wal-command";

const words = process.argv.slice(3);
if (isPlainWalCall(words)) {
  const call = { arguments: words, environment: process.env, workingDirectory: process.cwd() };
  const { exitCode, message } = await runWalCommand(call);
  if (message !== "") process.stderr.write(`db wal ${words[0]}: ${message}\n`);
  process.exitCode = exitCode;
} else {
  // A server that npm started hands its folder on; the paths it gives are relative to where it runs.
  delete process.env["INIT_CWD"];
  await import("./main.ts");
}
