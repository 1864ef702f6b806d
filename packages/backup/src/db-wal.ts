#!/usr/bin/env node
// archive_command = 'db-wal push %p --repo /srv/backups'; restore_command = 'db-wal fetch %f %p --repo /srv/backups'
let answered = false;
// To a server that recovers, 1 says "no such WAL" and ends recovery; a crash of this program must stop it instead.
process.on("exit", () => {
  if (!answered && process.argv[2] === "fetch") process.exitCode = 255;
});
const { runWalCommand } = await import("./wal/command.ts");
const { exitCode, message } = await runWalCommand({
  arguments: process.argv.slice(2),
  environment: process.env,
  workingDirectory: process.cwd(),
});
if (message !== "") process.stderr.write(`db-wal: ${message}\n`);
// A shell cannot tell a program that says 1 from one that did not start: db-wal-sh names another number.
const notThere = Number(process.env["DB_WAL_NOT_THERE"] ?? 1);
process.exitCode = exitCode === 1 ? notThere : exitCode;
answered = true;
export {};
