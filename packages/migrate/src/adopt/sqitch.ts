import { type ForeignMigration, type ForeignTool, importFinding } from "./foreign-tool.ts";
import { readSource } from "./source-folder.ts";

interface PlannedChange {
  readonly name: string;
  readonly requires: readonly string[];
  /** The tag after which it was reworked: its scripts are then kept as `<name>@<tag>.sql`. */
  readonly reworkedAt: string | null;
}

/**
 * Sqitch: `sqitch.plan` orders the scripts of `deploy/`, `revert/` and `verify/`; history in schema `sqitch`.
 * @see https://sqitch.org/docs/manual/sqitch/#Plan-File
 */
export const sqitch: ForeignTool = {
  name: "sqitch",
  recognises: (_directory, entries) => entries.includes("sqitch.plan"),
  async readFolder(directory) {
    const plan = await readSource(directory, "sqitch.plan");
    const migrations: ForeignMigration[] = [];
    const findings = [];
    const seen = new Map<string, number>();
    for (const { name, requires, reworkedAt } of readPlan(plan?.text ?? "")) {
      const file = reworkedAt === null ? `${name}.sql` : `${name}@${reworkedAt}.sql`;
      const deploy = await readSource(directory, "deploy", file);
      if (!deploy) {
        const title = `the plan names ${name}, which has no deploy/${file}`;
        findings.push(importFinding("IMPORT-NO-FILE", "critical", `deploy/${file}`, title, "Restore the script."));
        continue;
      }
      const times = (seen.get(name) ?? 0) + 1;
      seen.set(name, times);
      migrations.push({
        // A reworked change is deployed once per version, each with a row of the same name.
        key: times === 1 ? name : `${name}#${times}`,
        checksum: null,
        version: null,
        name: times === 1 ? name : `${name}_rework_${times - 1}`,
        kind: "versioned",
        file: `deploy/${file}`,
        up: deploy.text,
        down: (await readSource(directory, "revert", file))?.text ?? null,
        verify: (await readSource(directory, "verify", file))?.text ?? null,
        transactional: true,
        depends: requires.filter((one) => seen.has(one)),
      });
    }
    return { tool: "sqitch", migrations, findings };
  },
  isHistory: (table, columns) => table === "changes" && columns.has("change_id") && columns.has("committed_at"),
  async readHistory(session, table) {
    const { rows } = await session.query<{ change: string; appliedAt: number }>(
      `select change, (extract(epoch from committed_at) * 1000)::float8 as "appliedAt" from ${table} order by committed_at`,
    );
    const seen = new Map<string, number>();
    return {
      upTo: null,
      rows: rows.map(({ change, appliedAt }) => {
        const times = (seen.get(change) ?? 0) + 1;
        seen.set(change, times);
        return {
          key: times === 1 ? change : `${change}#${times}`,
          checksum: null,
          appliedAt,
          state: "applied" as const,
        };
      }),
    };
  },
};

/** The changes of a plan in order. Lines with `%` are pragmas, with `@` tags, with `#` comments. */
function readPlan(text: string): PlannedChange[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const changes: { name: string; requires: string[]; at: number }[] = [];
  const tags: { name: string; at: number }[] = [];
  lines.forEach((line, at) => {
    if (line === "" || line.startsWith("%") || line.startsWith("#")) return;
    const tag = /^@(\S+)/.exec(line)?.[1];
    if (tag !== undefined) {
      tags.push({ name: tag, at });
      return;
    }
    const match = /^[+-]?\s*(\S+)(?:\s+\[([^\]]*)\])?/.exec(line);
    if (!match?.[1] || line.startsWith("-")) return;
    const requires = (match[2] ?? "").split(/\s+/).filter((one) => one !== "" && !one.startsWith("!"));
    changes.push({ name: match[1], requires: requires.map((one) => one.replace(/@.*$/, "")), at });
  });
  return changes.map(({ name, requires, at }) => {
    const later = changes.find((one) => one.name === name && one.at > at);
    const tag = later ? tags.findLast((one) => one.at > at && one.at < later.at) : undefined;
    return { name, requires, reworkedAt: tag?.name ?? null };
  });
}
