import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { messageOf } from "@db/core";
import type { Absence, Benchmark, SetupContext } from "./benchmark.ts";
import { timeFigures } from "./figures.ts";
import { checkMigrated, type MigratedDatabase, type MigrationArena, openMigrations } from "./migration-arena.ts";
import { type MigrationTool, migrationTools } from "./migration-tool.ts";

/** A database of each tool, migrated before. */
interface MigratedArena extends MigrationArena {
  urlOf(tool: MigrationTool): string;
}

/** Nothing pending: what every start of an application pays. */
export const migrateNoop: Benchmark<MigratedArena, MigratedDatabase> = {
  name: "migrate-noop",
  title: "500 migrations, all applied before: nothing to do",
  cases: [
    { name: "in_process", title: "the tool is loaded, the connection is new" },
    { name: "process", title: "a new process, from start to end" },
  ],
  setup: openMigrated,
  contenders: migrationTools.map((tool) => ({
    name: tool.name,
    package: tool.package,
    prepare: (arena, run) => async () => {
      const url = arena.urlOf(tool);
      await (run.case === "process" ? runProcess : runHere)(tool, url, arena.directoryOf(tool));
      return { operations: 1, answer: { url, historyTable: tool.historyTable } };
    },
  })),
  check: ({ migrations }, _run, { answer }) => checkMigrated(answer, migrations),
  figures: (measurements) => timeFigures(measurements, "db_migrate"),
};

async function openMigrated({ say }: SetupContext): Promise<MigratedArena> {
  await using stack = new AsyncDisposableStack();
  const arena = stack.use(await openMigrations());
  const urls = new Map<string, string>();
  for (const tool of migrationTools) {
    const { url } = await arena.cluster.createDatabase();
    say(`migrating a database with ${tool.name}`);
    await tool.run(url, arena.directoryOf(tool));
    urls.set(tool.name, url);
  }
  const absent = await buildMigrate();
  const kept = stack.move();
  return {
    ...arena,
    absent,
    urlOf: (tool) => urls.get(tool.name) ?? "",
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const root = fileURLToPath(new URL("../../..", import.meta.url));
const execute = promisify(execFile);

/** A process loads the built package, as its users' do: types stripped at every start would be a cost of ours alone. */
async function buildMigrate(): Promise<Absence[]> {
  try {
    await execute(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, "-b", `${root}/packages/migrate`]);
    return [];
  } catch (error) {
    return [{ case: "process", reason: `@db/migrate cannot be built: ${messageOf(error)}` }];
  }
}

function runHere(tool: MigrationTool, url: string, directory: string): Promise<void> {
  return tool.run(url, directory);
}

async function runProcess(tool: MigrationTool, url: string, directory: string): Promise<void> {
  const script = fileURLToPath(new URL("migration-process.ts", import.meta.url));
  await execute(process.execPath, [script, tool.name, url, directory], { timeout: 60_000 });
}
