import type { Benchmark } from "./benchmark.ts";
import { timeFigures } from "./figures.ts";
import { checkMigrated, type MigratedDatabase, type MigrationArena, openMigrations } from "./migration-arena.ts";
import { migrationTools } from "./migration-tool.ts";

/** Everything pending, on an empty database: what a new environment and every test run pay. */
export const migrate500: Benchmark<MigrationArena, MigratedDatabase> = {
  name: "migrate-500",
  title: "500 small migrations on an empty database, in process, fsync off",
  setup: openMigrations,
  contenders: migrationTools.map((tool) => ({
    name: tool.name,
    package: tool.package,
    async prepare(arena) {
      const url = await arena.freshDatabase();
      return async () => {
        await tool.run(url, arena.directoryOf(tool));
        return { operations: arena.migrations, answer: { url, historyTable: tool.historyTable } };
      };
    },
  })),
  check: ({ migrations }, _run, { answer }) => checkMigrated(answer, migrations),
  figures: (measurements) => timeFigures(measurements, "db_migrate"),
};
