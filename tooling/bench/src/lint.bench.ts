import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { lintMigrations } from "@db/migrate";
import type { Arena, Benchmark } from "./benchmark.ts";
import { buildPackages, dbBinary } from "./built-packages.ts";
import { timeFigures } from "./figures.ts";
import { migrationSources } from "./migration-files.ts";
import { migrationTools } from "./migration-tool.ts";

interface LintArena extends Arena {
  readonly directory: string;
  readonly files: readonly string[];
}

/** How many files were judged, and what was found in them. */
interface Judged {
  readonly files: number;
  readonly findings: number;
}

const files = 186;

/**
 * Dokploy's 186 files where MIGRATE_HISTORIES names the folder that holds them; else as many of our own. squawk judges
 * each file by itself; ours replays the catalog from one to the next.
 */
export const lint: Benchmark<LintArena, Judged> = {
  name: "lint",
  title: "186 migrations judged: Dokploy's, where MIGRATE_HISTORIES holds them",
  cases: [
    { name: "in_process", title: "the parser is loaded" },
    { name: "process", title: "a new process, from start to end" },
  ],
  async setup() {
    await using stack = new AsyncDisposableStack();
    const own = await mkdtemp(join(tmpdir(), "bench-lint-"));
    stack.defer(() => rm(own, { recursive: true, force: true }));
    const real = join(process.env["MIGRATE_HISTORIES"] ?? "", "dokploy/apps/dokploy/drizzle");
    const directory = existsSync(join(real, "meta/_journal.json")) ? real : own;
    if (directory === own) await migrationTools[0]?.render(migrationSources().slice(0, files), own);
    const unbuilt = await buildPackages();
    const kept = stack.move();
    return {
      directory,
      files: (await readdir(directory)).filter((name) => name.endsWith(".sql")).map((name) => join(directory, name)),
      postgres: "",
      absent: [
        { contender: "squawk", case: "in_process", reason: "it is a program of its own" },
        ...(unbuilt === undefined ? [] : [{ case: "process", reason: unbuilt }]),
      ],
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    };
  },
  contenders: [
    {
      name: "db_migrate",
      package: "@db/migrate",
      prepare:
        ({ directory }, run) =>
        async () => {
          const report = run.case === "process" ? await lintByCommand(directory) : await lintMigrations({ directory });
          const { length: findings } = report.findings;
          return { operations: report.files, answer: { files: report.files, findings } };
        },
    },
    {
      name: "squawk",
      package: "squawk-cli",
      prepare: (arena) => async () => {
        const findings = JSON.parse(await outputOf(squawkBinary(), ["--reporter=Json", ...arena.files])) as object[];
        return { operations: arena.files.length, answer: { files: arena.files.length, findings: findings.length } };
      },
    },
  ],
  check: (_arena, _run, { answer }) =>
    answer.files >= files && answer.findings > 0 ? undefined : `${answer.files} files gave ${answer.findings} findings`,
  figures: (measurements) => timeFigures(measurements, "db_migrate"),
};

async function lintByCommand(
  directory: string,
): Promise<{ readonly files: number; readonly findings: readonly object[] }> {
  const flags = ["migrate", "lint", "--all", "--dir", directory, "--json"];
  const { data } = JSON.parse(await outputOf(process.execPath, [dbBinary, ...flags])) as {
    data: { files: number; findings: object[] };
  };
  return data;
}

/** What a program writes; both end with 1 when they find something. */
async function outputOf(program: string, words: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, words, { maxBuffer: 1 << 28, timeout: 60_000 });
    return stdout;
  } catch (error) {
    const { stdout = "" } = error as { stdout?: string };
    if (stdout === "") throw error;
    return stdout;
  }
}

/** The binary itself, without the detour through Node that its npm command takes. */
function squawkBinary(): string {
  const require = createRequire(import.meta.url);
  const inside = createRequire(require.resolve("squawk-cli/package.json"));
  return inside.resolve(`@squawk-cli/${process.platform}-${process.arch}/bin/squawk`);
}
