import { type BackupArena, backupCases, openBackups, startBackupProcess } from "./backup-arena.ts";
import type { Benchmark, Contender, SetupContext } from "./benchmark.ts";
import { timeFigures } from "./figures.ts";

/** The directory it was restored to. */
type Restored = string;

interface RestoreArena extends BackupArena {
  /** Where ours keeps the backup of a case. */
  readonly repositories: ReadonlyMap<string, string>;
}

/** A full backup brought back, every file on disk when it ends. */
export const backupRestore: Benchmark<RestoreArena, Restored> = {
  name: "backup-restore",
  title: "Restore of a full backup, zstd level 1, encrypted",
  cases: backupCases,
  setup: openRestores,
  contenders: [ours(), pgbackrest()],
  // A server starts on it, and the table in it has every row.
  check: (arena, run, { answer }) => arena.server(run.case).checkRestored(answer),
  figures: (measurements) => timeFigures(measurements, "db_backup"),
};

async function openRestores(context: SetupContext): Promise<RestoreArena> {
  await using stack = new AsyncDisposableStack();
  const arena = stack.use(await openBackups(context, { pgbackrest: "pgbackrest" }));
  const repositories = new Map<string, string>();
  for (const name of context.cases) {
    context.say(`backing up ${name}`);
    const { url, encryptionKey, pgbackrest } = arena.server(name);
    const repository = `${await arena.freshPath()}-ours`;
    const begin = await startBackupProcess();
    await begin({ verb: "backup", url, repository, encryptionKey, directory: "" });
    repositories.set(name, repository);
    if (arena.absent?.length === 0) {
      await pgbackrest.begin();
      await pgbackrest.run(["backup", "--type=full"]);
    }
  }
  const kept = stack.move();
  return { ...arena, repositories, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

function ours(): Contender<RestoreArena, Restored> {
  return {
    name: "db_backup",
    package: "@db/backup",
    async prepare(arena, run) {
      const { encryptionKey, settle } = arena.server(run.case);
      const directory = await arena.freshPath();
      const begin = await startBackupProcess();
      await settle();
      return async () => {
        const repository = arena.repositories.get(run.case)!;
        const { peakBytes } = await begin({ verb: "restore", url: "", repository, encryptionKey, directory });
        return { operations: 1, answer: directory, facts: { peak_bytes: peakBytes } };
      };
    },
  };
}

function pgbackrest(): Contender<RestoreArena, Restored> {
  return {
    name: "pgbackrest",
    async prepare(arena, run) {
      const { pgbackrest: peer, settle } = arena.server(run.case);
      const directory = await arena.freshPath();
      await peer.makeDirectory(directory);
      await settle();
      return async () => {
        await peer.run([`--pg1-path=${directory}`, "--archive-mode=off", "restore"]);
        return { operations: 1, answer: directory };
      };
    },
  };
}
