import type { Finding } from "@db/core";
import { checkAlignment, findingsOfProofs, type RecommendationProof, verifyRecommendations } from "@db/orchestrator";
import type { AlignmentCheck } from "@db/orchestrator";
import type { CommandResult } from "../command.ts";
import type { Context } from "../context.ts";

/** `db verify`: the six recommendations by observation, and the architecture by its figures. */
export async function verify(context: Context): Promise<CommandResult> {
  return answer(context, await recommendations(context), await alignment(context));
}

/** `db verify recommendations` */
export async function verifyRecommended(context: Context): Promise<CommandResult> {
  return answer(context, await recommendations(context), undefined);
}

/** `db verify alignment` */
export async function verifyAlignment(context: Context): Promise<CommandResult> {
  return answer(context, undefined, await alignment(context));
}

async function recommendations(context: Context): Promise<readonly RecommendationProof[] | undefined> {
  const { config } = await context.config();
  if (context.dryRun) return undefined;
  const { logger, signal, onProgress } = context;
  return await verifyRecommendations(config, { logger, signal, onProgress });
}

async function alignment(context: Context): Promise<readonly AlignmentCheck[]> {
  return await checkAlignment((await context.config({ requireConnection: false })).config);
}

function answer(
  { terminal, dryRun }: Context,
  proofs: readonly RecommendationProof[] | undefined,
  checks: readonly AlignmentCheck[] | undefined,
): CommandResult {
  const marks = { proved: ["green", "✓"], refuted: ["red", "✗"], unobserved: ["yellow", "?"] } as const;
  const line = (verdict: keyof typeof marks, title: string, detail: string, hint?: string): string => {
    const [color, mark] = marks[verdict];
    return `${terminal.paint(color, mark)} ${title.padEnd(22)} ${detail}${hint === undefined ? "" : `\n    ${hint}`}`;
  };
  const lines = [
    ...(dryRun && !checks
      ? ["would make faults in front of a pool of its own and watch it, six times; nothing was done"]
      : []),
    ...(proofs ?? []).map(({ verdict, title, seen, hint }) => line(verdict, title, seen, hint)),
    ...(checks ?? []).map(({ aligned, name, found, expected, hint }) =>
      line(
        aligned ? "proved" : "refuted",
        name,
        aligned ? found : `${found}; expected: ${expected}`,
        aligned ? undefined : hint,
      ),
    ),
  ];
  if (proofs) {
    const proved = proofs.filter(({ verdict }) => verdict === "proved").length;
    lines.push("", `${proved} of ${proofs.length} recommendations proved`);
  }
  return {
    data: { recommendations: proofs ?? null, alignment: checks ?? null },
    text: lines.join("\n"),
    findings: [...findingsOfProofs(proofs ?? []), ...(checks ?? []).flatMap(misalignment)],
    gate: true,
  };
}

function misalignment({ aligned, name, found, expected, hint }: AlignmentCheck): readonly Finding[] {
  if (aligned) return [];
  const id = `VERIFY-ALIGNMENT-${name.toUpperCase()}`;
  const title = `${name}: ${found}; expected: ${expected}`;
  return [{ id, severity: "critical", title, ...(hint === undefined ? {} : { hint }) }];
}
