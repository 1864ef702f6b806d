import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { confirmByName } from "./confirm.ts";
import { Terminal } from "./terminal.ts";

const plan = {
  name: "/srv/data",
  host: "this machine",
  losses: ["all after 2026-11-10T03:00:00Z"],
  safetyBackup: "/srv/data.before",
};

/** Somebody at a terminal who types `answer`, or closes it. */
function asked(answer: string | undefined, interactive = true) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const prompts = new PassThrough({ encoding: "utf8" });
  const stream = (): PassThrough => new PassThrough({ encoding: "utf8" });
  const stderr = stream();
  const terminal = new Terminal({ stdout: stream(), stderr, form: "text", quiet: false, colors: false });
  const done = confirmByName(plan, {
    terminal,
    stdin,
    prompts,
    interactive,
    confirmed: undefined,
    production: false,
    allowProduction: false,
  });
  if (answer === undefined) stdin.end();
  else stdin.write(`${answer}\n`);
  return { done, told: () => `${String(stderr.read() ?? "")}${String(prompts.read() ?? "")}` };
}

test("a terminal is asked for the name, told what is lost and what is kept, and only that name goes on", async () => {
  const right = asked("/srv/data");
  await expect(right.done).resolves.toBeUndefined();
  const told = right.told();
  for (const part of [...plan.losses, plan.safetyBackup, "Type /srv/data to go on"]) expect(told).toContain(part);
  for (const answer of ["yes", "", "/srv", undefined])
    await expect(asked(answer).done).rejects.toMatchObject({ code: "CLI_NOT_CONFIRMED" });
});

test("with --no-input nobody is asked, and the hint has the flag", async () => {
  await expect(asked("/srv/data", false).done).rejects.toMatchObject({ hint: "Add --confirm /srv/data." });
});
