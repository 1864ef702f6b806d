import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Benchmark, SetupContext } from "./benchmark.ts";
import { buildPackages, dbBinary, migrationProcess } from "./built-packages.ts";
import { timeFigures } from "./figures.ts";
import { checkMigrated, type MigratedDatabase, type MigrationArena, openMigrations } from "./migration-arena.ts";
import { type MigrationTool, migrationTools } from "./migration-tool.ts";

const [ours] = migrationTools as readonly [MigrationTool, ...MigrationTool[]];

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
  contenders: [
    ...migrationTools.map((tool) => ({ ...contender(tool, tool.name, runTool), package: tool.package })),
    // The same as a command of the house: `db migrate up` of the built binary.
    contender(ours, "db_cli", runCommand),
  ],
  check: ({ migrations }, _run, { answer }) => checkMigrated(answer, migrations),
  figures: (measurements) => timeFigures(measurements, "db_migrate"),
};

function contender(
  tool: MigrationTool,
  name: string,
  runProcess: (tool: MigrationTool, url: string, directory: string) => Promise<void>,
): Benchmark<MigratedArena, MigratedDatabase>["contenders"][number] {
  return {
    name,
    prepare: (arena, run) => async () => {
      const url = arena.urlOf(tool);
      await (run.case === "process"
        ? runProcess(tool, url, arena.directoryOf(tool))
        : tool.run(url, arena.directoryOf(tool)));
      return { operations: 1, answer: { url, historyTable: tool.historyTable } };
    },
  };
}

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
  const unbuilt = await buildPackages();
  const programs = migrationTools.filter(({ isProgram }) => isProgram === true);
  const absent = [
    ...(unbuilt === undefined ? [] : [{ case: "process", reason: unbuilt }]),
    { contender: "db_cli", case: "in_process", reason: "it is a program of its own" },
    ...programs.map(({ name }) => ({ contender: name, case: "in_process", reason: "it is a program of its own" })),
  ];
  const kept = stack.move();
  return {
    ...arena,
    absent,
    versions: { db_cli: "@db/cli of this workspace" },
    urlOf: (tool) => urls.get(tool.name) ?? "",
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const execute = promisify(execFile);

async function runTool(tool: MigrationTool, url: string, directory: string): Promise<void> {
  if (tool.isProgram === true) return tool.run(url, directory);
  await execute(process.execPath, [migrationProcess, tool.name, url, directory], { timeout: 60_000 });
}

async function runCommand(_tool: MigrationTool, url: string, directory: string): Promise<void> {
  const command = [dbBinary, "migrate", "up", "--dir", directory];
  await execute(process.execPath, command, { timeout: 60_000, env: { ...process.env, DATABASE_URL: url } });
}
