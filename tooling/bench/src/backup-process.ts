// Forked by the backup benchmarks, so that ours begins as cold as its peers do, in memory of its own: does one job.
import { createBackup, openRepository, planRestore, restoreBackup } from "@db/backup";
import { peakMemoryBytes } from "./processor-time.ts";

/** What to do, once told. */
export interface BackupJob {
  readonly verb: "backup" | "restore";
  readonly repository: string;
  readonly encryptionKey: string | undefined;
  /** Where from, or where to. */
  readonly url: string;
  readonly directory: string;
}

/** What became of it. */
export interface BackupJobResult {
  readonly label: string;
  readonly bytes: number;
  readonly storedBytes: number;
  readonly peakBytes: number;
}

async function run({ verb, encryptionKey, url, directory, ...job }: BackupJob): Promise<BackupJobResult> {
  const repository = await openRepository(job.repository, encryptionKey === undefined ? {} : { encryptionKey });
  if (verb === "backup") {
    const { label, bytes, storedBytes } = await createBackup({ url, repository });
    return { label, bytes, storedBytes, peakBytes: await peakMemoryBytes(process.pid) };
  }
  const { label, bytes } = await restoreBackup({ repository, plan: await planRestore({ repository, directory }) });
  return { label, bytes, storedBytes: 0, peakBytes: await peakMemoryBytes(process.pid) };
}

if (process.send) {
  process.once("message", (job: BackupJob) => {
    run(job).then(
      (result) => process.send?.({ result }, () => process.disconnect()),
      (error: unknown) => process.send?.({ error: String(error) }, () => process.disconnect()),
    );
  });
  process.send("ready");
}
