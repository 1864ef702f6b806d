import type { Finding } from "@db/core";
import type { Terminal } from "./terminal.ts";

const commandLength = 160;
const colors = { critical: "red", warn: "yellow", info: "dim" } as const;

/** Findings for people, worst first as they come: what, why, and the command that mends it. */
export function findingsText(findings: readonly Finding[], terminal: Terminal, limit: number = Infinity): string {
  const lines: string[] = [];
  for (const finding of findings.slice(0, limit)) {
    const word = terminal.paint(colors[finding.severity], finding.severity.padEnd(8));
    lines.push(`${word} ${finding.title}  ${terminal.paint("dim", finding.id)}`);
    if (finding.hint !== undefined) lines.push(`         ${finding.hint}`);
    if (finding.command !== undefined) lines.push(`         $ ${oneLine(finding.command)}`);
  }
  if (findings.length > limit) lines.push(`         and ${findings.length - limit} more: --json gives all of them`);
  return lines.join("\n");
}

// Whole in JSON; here it has to be told apart from the lines around it.
function oneLine(command: string): string {
  const line = command.replaceAll(/\s+/g, " ").trim();
  return line.length <= commandLength ? line : `${line.slice(0, commandLength - 1)}…`;
}
