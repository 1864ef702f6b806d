import {
  formatLintAnnotations,
  formatLintReport,
  formatLintSarif,
  type LintReport,
  type MigrationService,
  writeSquash,
} from "@db/orchestrator/migrations";
import { type CommandResult, type Input, text, toggle } from "../command.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../errors.ts";
import { readFileArgument } from "../file-argument.ts";
import { folder } from "../migration-command.ts";

const formats: Readonly<Record<string, (report: LintReport, directory: string) => string>> = {
  people: formatLintReport,
  sarif: formatLintSarif,
  github: formatLintAnnotations,
};

/** `db migrate lint` */
export async function lint(context: Context, input: Input): Promise<CommandResult> {
  const name = text(input, "format") ?? "people";
  const format = formats[name];
  if (!format) throw new UsageError(`no format is called "${name}"`, { hint: "There are people, sarif and github." });
  const all = toggle(input, "all") === true;
  const migrations = await context.migrations({ requireConnection: !all });
  const sizes = text(input, "sizes");
  const report = await migrations.lint({
    ...folder(input),
    all,
    advice: toggle(input, "advice") === true,
    ...(sizes === undefined ? {} : { sizes: await readCatalog(sizes, context) }),
  });
  const problems = report.problems.map(({ code, file, line, message, hint }) => ({
    id: code,
    severity: "critical" as const,
    title: `${file}:${line ?? 1}: ${message}`,
    hint,
  }));
  return {
    data: report,
    text: format(report, text(input, "dir") ?? migrations.directory).trimEnd(),
    findings: [...problems, ...report.findings],
    gate: true,
  };
}

/** `db migrate squash --to <version>` */
export async function squash(context: Context, input: Input): Promise<CommandResult> {
  const to = text(input, "to");
  if (to === undefined) throw new UsageError("--to is missing", { hint: "Say the last migration to put together." });
  const migrations = await context.migrations();
  const plan = await migrations.planSquash(to, { ...folder(input), signal: context.signal });
  if (!context.dryRun) await writeSquash(plan);
  const old = plan.replaces.filter((file) => file !== plan.file);
  return {
    data: plan,
    text:
      `${context.dryRun ? "would put" : "put"} ${plan.replaces.length} files into ${plan.file}: ${plan.statements} statements, ` +
      `${plan.leftOut} left out; both make the same schema (${plan.fingerprint.slice(0, 12)})`,
    changes: [
      { kind: "create_file", object: plan.file },
      ...old.map((file) => ({ kind: "remove_file", object: file, destructive: true })),
    ],
    next: ["db migrate plan"],
  };
}

type Sizes = NonNullable<NonNullable<Parameters<MigrationService["lint"]>[0]>["sizes"]>;

async function readCatalog(file: string, context: Context): Promise<Sizes> {
  try {
    const catalog = JSON.parse(await readFileArgument(file, context)) as Partial<Sizes>;
    if (Array.isArray(catalog.tables)) return catalog as Sizes;
  } catch (cause) {
    throw new UsageError(`the sizes ${file} cannot be read`, { cause });
  }
  throw new UsageError(`${file} holds no catalog`, { hint: "Write one with collectCatalog of @db/migrate." });
}
