import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { commands } from "./commands.ts";
import { completionScript } from "./completion.ts";
import { nagiosText } from "./nagios-text.ts";
import { globalFlags } from "./parse.ts";

const bash = spawnSync("bash", ["--version"]).status === 0;

// What bash offers after the words so far.
function offered(...words: string[]): readonly string[] {
  const script = `${completionScript("bash", commands, globalFlags)}
COMP_WORDS=(db "$@"); COMP_CWORD=$(($#)); _db; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync("bash", ["-c", script, "bash", ...words], { encoding: "utf8" });
  expect(stderr).toBe("");
  return stdout.split("\n").filter((word) => word !== "");
}

if (!bash) console.warn("skipped: bash is not on this machine");
test.skipIf(!bash)("bash completes commands, verbs, flags and the words a flag accepts", () => {
  expect(offered("mi")).toEqual(["migrate"]);
  expect(offered("migrate", "pl")).toEqual(["plan"]);
  expect(offered("migrate", "plan", "--ou").toSorted()).toEqual(["--out", "--output"]);
  expect(offered("--env", "production", "back")).toEqual(["backup"]);
  expect(offered("health", "--format", "")).toEqual(["text", "nagios"]);
  expect(offered("completion", "f")).toEqual(["fish"]);
});

test("every command and flag is in the script of every shell", () => {
  for (const shell of ["bash", "zsh", "fish"] as const) {
    const script = completionScript(shell, commands, globalFlags);
    for (const { name, flags = {} } of commands)
      for (const word of [...name.split(" "), ...Object.keys(flags)])
        expect(script, `${shell} ${name}`).toContain(word);
  }
});

test("a health check for Nagios is one line with its figures, its exit code the worst of status and findings", () => {
  const warn = { id: "PG-X-01", severity: "warn", title: "wal | archive late" } as const;
  const critical = { id: "PG-Y-01", severity: "critical", title: "primary does not answer" } as const;
  expect(nagiosText("pass", 5, [])).toEqual({
    line: "POSTGRES OK - 5 checks, 0 critical, 0 warnings | checks=5 critical=0 warnings=0",
    exitCode: 0,
  });
  expect(nagiosText("pass", 5, [warn])).toMatchObject({
    exitCode: 1,
    line: expect.stringContaining(": wal / archive late |") as string,
  });
  expect(nagiosText("warn", 5, [critical, warn]).exitCode).toBe(2);
  expect(nagiosText("fail", 5, []).line).toMatch(/^POSTGRES CRITICAL/);
});
