import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { ScriptInterruptedError } from "../errors.ts";
import type { ScriptDefinition, ScriptHost, ScriptResult } from "./definition.ts";
import { defineScript } from "./script.ts";

interface Ran {
  readonly result: ScriptResult;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(
  argv: readonly string[],
  definition: Partial<ScriptDefinition> & Pick<ScriptDefinition, "run">,
  more: Partial<ScriptHost> = {},
): Promise<Ran> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const script = defineScript({ name: "tidy-bills", description: "Removes drafts nobody reads.", ...definition });
  const host: ScriptHost = { env: {}, stdout, stderr, cwd: () => "/nowhere", ...more };
  const result = await script.run(argv, host);
  stdout.end();
  stderr.end();
  return { result, stdout: await text(stdout), stderr: await text(stderr) };
}

const flags = {
  keep: { type: "string", short: "k", value: "<days>", summary: "days to keep" },
  mode: { type: "string", summary: "how", choices: ["soft", "hard"] },
} as const;

describe("a script", () => {
  test("gets its flags and arguments, and tells its answer in words", async () => {
    const { result, stdout } = await run(["--keep", "3", "--dry-run", "drafts"], {
      flags,
      arguments: [{ name: "table", summary: "where", required: true }],
      run: async ({ options }) => ({
        message: `${options.arguments["table"]} ${String(options.flags["keep"])}`,
        data: options,
      }),
    });
    expect(result).toMatchObject({ success: true, exitCode: 0, dryRun: true, message: "drafts 3", error: undefined });
    expect(stdout).toBe("tidy-bills: drafts 3 (dry run)\n");
  });

  test("prints one JSON object and nothing else when asked to, also of a failure", async () => {
    const good = await run(["--json"], { run: async () => ({ data: { rows: 3n }, warnings: ["slow"] }) });
    expect(JSON.parse(good.stdout)).toMatchObject({
      script: "tidy-bills",
      data: { rows: "3" },
      warnings: ["slow"],
      error: null,
    });
    expect(good.stderr).toBe("");
    const bad = await run(["--json"], { run: () => Promise.reject(new Error("at postgres://app:secret@h/app")) });
    expect(JSON.parse(bad.stdout)).toMatchObject({
      success: false,
      exitCode: 1,
      error: { message: expect.any(String) as string },
    });
    expect(bad.stdout).not.toContain("secret");
  });

  test("shows help and runs nothing", async () => {
    const { result, stdout } = await run(["--help"], { flags, run: () => Promise.reject(new Error("ran")) });
    expect(result).toMatchObject({ success: true, exitCode: 0 });
    expect(stdout).toMatch(/tidy-bills: Removes drafts.*Usage: tidy-bills \[flags\].*-k, --keep <days>.*--timeout/s);
  });

  test("refuses a wrong command line with 2 and says what is wrong", async () => {
    const wrong = async (...argv: string[]): Promise<ScriptResult> =>
      (await run(argv, { flags, run: () => Promise.reject(new Error("ran")) })).result;
    expect(await wrong("--kep", "3")).toMatchObject({ exitCode: 2, error: { code: "SCRIPT_USAGE" } });
    expect((await wrong("--mode", "firm")).message).toBe('--mode is "firm"');
    expect((await wrong("more")).message).toBe('unexpected argument "more"');
    expect((await wrong("--timeout", "soon")).exitCode).toBe(2);
  });

  test("is ended by its time-out with 7, whether it listens to the signal or not, and its clean-ups run", async () => {
    const cleaned: string[] = [];
    const listening = await run(["--timeout", "20ms"], {
      run: ({ signal, defer }) => {
        defer(async () => void cleaned.push("first"));
        defer(async () => void cleaned.push("second"));
        return new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason as Error)));
      },
    });
    expect(listening.result).toMatchObject({ success: false, exitCode: 7, error: { code: "SCRIPT_TIMEOUT" } });
    expect(cleaned).toEqual(["second", "first"]);
    const deaf = await run(["--timeout", "20ms"], { run: () => new Promise(() => undefined) });
    expect(deaf.result.exitCode).toBe(7);
  });

  test("is ended by a signal with 130 or 143", async () => {
    for (const [name, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const) {
      const stop = new AbortController();
      const { result } = await run(
        [],
        {
          run: ({ signal }) => {
            stop.abort(new ScriptInterruptedError(name));
            return Promise.reject(signal.reason as Error);
          },
        },
        { signal: stop.signal },
      );
      expect(result.exitCode).toBe(code);
    }
  });

  test("ends with 6 when the database cannot be reached and with 2 when none is named", async () => {
    const touch: ScriptDefinition["run"] = async ({ orchestrator }) => {
      await (await orchestrator()).pool.query("select 1");
    };
    const env = { DATABASE_URL: "postgres://app:secret@127.0.0.1:1/app" };
    const away = await run([], { run: touch }, { env });
    expect(away.result.exitCode).toBe(6);
    expect(away.stderr).not.toContain("secret");
    expect((await run([], { run: touch })).result).toMatchObject({ exitCode: 2, error: { code: "CONFIG_INVALID" } });
  });

  test("logs in JSON lines, all of them with --verbose, progress too", async () => {
    const definition: Pick<ScriptDefinition, "run"> = {
      run: async ({ logger, progress }) => {
        progress(1, 2, "half");
        logger.warn({ url: "postgres://a:secret@h/d", big: 1n }, "odd");
      },
    };
    const quiet = (await run([], definition)).stderr.trim().split("\n");
    expect(quiet).toHaveLength(1);
    expect(JSON.parse(quiet[0]!)).toMatchObject({ level: "warn", script: "tidy-bills", big: "1", msg: "odd" });
    expect(quiet[0]).not.toContain("secret");
    const loud = (await run(["--verbose"], definition)).stderr.trim().split("\n");
    expect(JSON.parse(loud[0]!)).toMatchObject({ level: "info", done: 1, total: 2, msg: "half" });
  });

  test("gets an orchestrator that changes nothing in a dry run", async () => {
    const env = { DATABASE_URL: "postgres://app@127.0.0.1:1/app" };
    const readOnly = async (...argv: string[]): Promise<unknown> =>
      (await run(argv, { run: async ({ orchestrator }) => ({ data: (await orchestrator()).readOnly }) }, { env }))
        .result.data;
    expect(await readOnly("--dry-run")).toBe(true);
    expect(await readOnly()).toBe(false);
  });

  test("shows its progress in place on a terminal, and lines of its own on top", async () => {
    const stderr = Object.assign(new PassThrough(), { isTTY: true });
    const { stdout } = await run(
      [],
      {
        run: async ({ progress, print }) => {
          progress(1, 2, "half");
          print("seen");
        },
      },
      { stderr },
    );
    stderr.end();
    expect(await text(stderr)).toBe("\r\u001B[K  1 of 2 half\r\u001B[K\r\u001B[K");
    expect(stdout).toBe("seen\ntidy-bills: done\n");
  });

  test("may say itself that it failed", async () => {
    const { result, stderr } = await run([], { run: async () => ({ success: false, message: "2 rows are left" }) });
    expect(result).toMatchObject({ success: false, exitCode: 1 });
    expect(stderr).toBe("tidy-bills failed: 2 rows are left\n");
  });
});
