import { createBackup, openRepository } from "@db/backup";

// Run as a process of its own, to be killed: takes a backup slowly and tells every step on stdout.
const [url, location, encryptionKey] = process.argv.slice(2) as [string, string, string];
const repository = await openRepository(location, { encryptionKey });
await createBackup({
  url,
  repository,
  maxRateBytes: 40 * 1024 * 1024,
  onProgress: ({ phase, current }) => process.stdout.write(`${phase} ${current}\n`),
});
