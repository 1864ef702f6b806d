#!/usr/bin/env node
// archive_command = 'db-wal push %p --repo /srv/backups'; restore_command = 'db-wal fetch %f %p --repo /srv/backups'
import { runWalCommand } from "./wal/command.ts";

const { exitCode, message } = await runWalCommand({
  arguments: process.argv.slice(2),
  environment: process.env,
  workingDirectory: process.cwd(),
});
if (message !== "") process.stderr.write(`db-wal: ${message}\n`);
process.exitCode = exitCode;
