import { type ForeignToolName, foreignTools } from "./foreign-tool.ts";

/** Where an imported file came from: what its first line says. */
export interface MigrationOrigin {
  readonly tool: ForeignToolName;
  /** What the tool's own history calls it. */
  readonly key: string;
  readonly checksum: string | null;
}

/** The line that lets a database which another tool migrated be taken over later. */
export function originLine({ tool, key, checksum }: MigrationOrigin): string {
  return `-- imported from ${tool}: ${JSON.stringify(key)}${checksum === null ? "" : ` ${checksum}`}`;
}

/** Reads the first line of a file; null for one that was not imported. */
export function readOrigin(text: string): MigrationOrigin | null {
  const match = /^\uFEFF?-- imported from ([a-z-]+): ("(?:[^"\\\n]|\\.)*")(?: (\S+))?[ \t\r]*(?:\n|$)/.exec(text);
  const tool = foreignTools.find((name) => name === match?.[1]);
  if (!match || !tool) return null;
  return { tool, key: JSON.parse(match[2] ?? '""') as string, checksum: match[3] ?? null };
}
