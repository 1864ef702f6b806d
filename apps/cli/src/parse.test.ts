import { describe, expect, test } from "vitest";
import { commands } from "./commands.ts";
import { helpText } from "./help.ts";
import { parseCommandLine } from "./parse.ts";

const parse = (line: string) => parseCommandLine(commands, line.split(" "));

describe("command line", () => {
  test("takes flags before and after the command", () => {
    const forms = ["--json migrate plan --dir db", "migrate --json plan --dir=db", "migrate plan --dir db --json"];
    for (const form of forms) {
      expect(parse(form)).toMatchObject({
        kind: "run",
        command: { name: "migrate plan" },
        input: { flags: { json: true, dir: "db" } },
      });
    }
  });

  test("does not take a flag's value for a command", () => {
    expect(parse("--env production health")).toMatchObject({
      command: { name: "health" },
      input: { flags: { env: "production" } },
    });
  });

  test.each([
    ["helth", "Did you mean db health?"],
    ["migrate pln", "Did you mean db migrate plan?"],
    ["health --wach", "Did you mean --watch?"],
  ])("suggests the nearest word for %s and runs nothing", (line, hint) => {
    expect(() => parse(line)).toThrow(expect.objectContaining({ code: "CLI_USAGE", hint }));
  });

  test("names the verbs of a group that was given none", () => {
    expect(() => parse("backup")).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("db backup run") as string }),
    );
  });

  test("refuses a word that a flag does not know", () => {
    expect(() => parse("report --format pdf")).toThrow(expect.objectContaining({ hint: "Use one of: text, html." }));
  });

  test("refuses a missing argument by name", () => {
    expect(() => parse("migrate new")).toThrow("db migrate new needs <name>");
  });

  test("never completes a prefix", () => {
    expect(() => parse("heal")).toThrow('unknown command "db heal"');
  });

  test("turns a boolean off with --no-", () => {
    expect(parse("health --no-color")).toMatchObject({ input: { flags: { color: false } } });
  });

  test("shows examples first in every command's help, within 120 columns", () => {
    for (const command of commands) {
      const lines = helpText(commands, command.name.split(" ")).split("\n");
      expect(lines.indexOf("Examples")).toBeGreaterThan(0);
      expect(command.examples.length, command.name).toBeGreaterThan(0);
    }
  });
});
