import { createInterface } from "node:readline";
import { NotConfirmedError } from "./errors.ts";
import type { Terminal } from "./terminal.ts";

/** What stands to be lost, shown before the question. */
export interface DestructivePlan {
  /** Name that has to be typed or given with `--confirm`: the database, or the folder. */
  readonly name: string;
  readonly host: string;
  /** One line for each thing that would be lost or overwritten, with sizes. */
  readonly losses: readonly string[];
  readonly safetyBackup: string;
}

export interface ConfirmOptions {
  readonly terminal: Terminal;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly prompts: NodeJS.WritableStream;
  readonly interactive: boolean;
  /** `--confirm`. */
  readonly confirmed: string | undefined;
  readonly production: boolean;
  readonly allowProduction: boolean;
}

/**
 * Lets a destructive command go on only when its target was named. `--yes` is not enough; no answer is no.
 * @throws {NotConfirmedError}
 */
export async function confirmByName(plan: DestructivePlan, options: ConfirmOptions): Promise<void> {
  options.terminal.say(
    [
      `This would change ${plan.name} on ${plan.host}:`,
      ...plan.losses.map((line) => `  - ${line}`),
      `  safety backup: ${plan.safetyBackup}`,
    ].join("\n"),
  );
  if (options.production && !options.allowProduction) {
    throw new NotConfirmedError(`${plan.name} runs with the production profile; nothing was changed`, {
      hint: `Add --allow-production and --confirm ${plan.name}.`,
    });
  }
  if (options.confirmed !== undefined) {
    if (options.confirmed === plan.name) return;
    throw new NotConfirmedError(
      `--confirm names "${options.confirmed}", the target is "${plan.name}"; nothing was changed`,
      { hint: `Add --confirm ${plan.name} if that is the one.` },
    );
  }
  if (!options.interactive || !options.stdin.isTTY) {
    throw new NotConfirmedError(`${plan.name} was not confirmed; nothing was changed`, {
      hint: `Add --confirm ${plan.name}.`,
    });
  }
  const answer = await ask(`Type ${plan.name} to go on, anything else to stop: `, options);
  if (answer?.trim() !== plan.name)
    throw new NotConfirmedError("the name was not typed; nothing was changed", {
      hint: "Run the command again to be asked again.",
    });
}

function ask(question: string, options: ConfirmOptions): Promise<string | undefined> {
  return new Promise((resolve) => {
    const reader = createInterface({ input: options.stdin, output: options.prompts });
    // Ctrl-C, Ctrl-D and a closed terminal all mean no.
    reader.once("close", () => resolve(undefined));
    reader.once("SIGINT", () => reader.close());
    reader.question(question, (answer) => {
      resolve(answer);
      reader.close();
    });
  });
}
