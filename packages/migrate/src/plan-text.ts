import type { MigrationPlan, PlannedMigration, PlannedStatement } from "./plan.ts";

/** A plan for people: each migration, its statements and what they will lock, then what was found. */
export function formatMigrationPlan(plan: MigrationPlan): string {
  const lines: string[] = [];
  const verb = plan.direction === "down" ? "undo" : plan.direction === "baseline" ? "declare applied" : "apply";
  const count = plan.direction === "baseline" ? plan.adopt.length : plan.migrations.length;
  const target = `${plan.server.database} (PostgreSQL ${Math.floor(plan.server.version / 10_000)})`;
  lines.push(count === 0 ? `nothing to ${verb} on ${target}` : `${verb} ${plural(count, "migration")} on ${target}`);
  if (plan.adopt.length > 0) {
    const [{ source: from } = { source: "baseline" }] = plan.adopt;
    const source = from === "baseline" ? "recorded without running" : `taken over from ${from}'s history`;
    const last = plan.adopt.length === 1 ? "" : ` … ${plan.adopt.at(-1)?.id}`;
    lines.push(`  ${plural(plan.adopt.length, "migration")} ${source}: ${plan.adopt[0]?.id}${last}`);
  }
  for (const migration of plan.migrations) lines.push("", ...migrationLines(migration));
  if (plan.findings.length > 0) lines.push("");
  for (const finding of plan.findings) {
    const place = finding.file === null ? "" : ` ${finding.file}${finding.line === null ? "" : `:${finding.line}`}`;
    const rule = finding.rule ?? finding.id;
    lines.push(`${finding.blocks ? "BLOCKED" : finding.severity}${place}: ${finding.title} (${rule})`);
    if (finding.hint) lines.push(`    ${finding.hint}`);
    if (finding.safer) lines.push(...finding.safer.split("\n").map((line) => `    ${line}`));
  }
  return `${lines.join("\n")}\n`;
}

function migrationLines(migration: PlannedMigration): string[] {
  const mode = migration.transactional ? "one transaction" : `statement by statement: ${migration.transactionReason}`;
  return [`${migration.id} (${mode})`, ...migration.statements.flatMap(statementLines)];
}

function statementLines(statement: PlannedStatement): string[] {
  const { locks, rewrites, scans, indexBuilds, opaque } = statement.effects;
  const notes = [
    ...locks.map(({ relation, mode }) => `${mode} on ${relation}`),
    ...rewrites.map((table) => `rewrites ${table}`),
    ...scans.map((table) => `reads all of ${table}`),
    ...indexBuilds.map((table) => `builds an index on ${table}`),
    ...(opaque ? ["what it does cannot be told"] : []),
  ];
  const indented = `${statement.sql};`.split("\n").map((line) => `  ${line}`);
  return notes.length === 0 ? indented : [...indented, `    -- ${notes.join(", ")}`];
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
