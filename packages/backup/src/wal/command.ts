import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { resolve } from "node:path";
import type { WalAnswer, WalRequest } from "./daemon.ts";

/** What the command line and the environment give. */
export interface WalCommandInput {
  /** `push <path>` or `fetch <name> <path>`, with `--repo`, `--socket`, `--tails`. */
  readonly arguments: readonly string[];
  /** `BACKUP_ENCRYPTION_KEY` or `BACKUP_ENCRYPTION_KEY_FILE`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
}

interface ParsedWords {
  readonly words: readonly string[];
  readonly repo: string | undefined;
  readonly socket: string | undefined;
  readonly tails: boolean;
}

const usage = `usage: push <file> --repo <location> [--socket <path>]
       fetch <name> <file> --repo <location> [--socket <path>] [--tails]`;

/**
 * The whole of `push` and `fetch`, for archive_command and restore_command: asks the daemon when there is one, else does
 * it itself. Imports nothing of the package before it has to, because it starts once per segment.
 * @returns never rejects; a mistaken call exits with 2 (push) or 255 (anything else), so that no WAL is dropped by it
 */
export async function runWalCommand(input: WalCommandInput): Promise<WalAnswer> {
  const [verb, ...rest] = input.arguments;
  const failed = verb === "push" ? 2 : 255;
  const parsed = parse(rest);
  const request = parsed && requestOf(verb, parsed, input.workingDirectory);
  if (!parsed || !request) return { exitCode: failed, message: usage };
  try {
    if (parsed.socket !== undefined) {
      const answer = await ask(resolve(input.workingDirectory, parsed.socket), request);
      if (answer) return answer;
    }
    if (parsed.repo === undefined) return { exitCode: failed, message: "no daemon answers and --repo names none" };
    const [{ openRepository }, { answerWalRequest }, encryptionKey] = await Promise.all([
      import("../repository/repository.ts"),
      import("./daemon.ts"),
      keyFrom(input.environment),
    ]);
    return await answerWalRequest(await openRepository(parsed.repo, { encryptionKey }), request);
  } catch (error) {
    const { message, hint } = error as { readonly message?: string; readonly hint?: string };
    return { exitCode: failed, message: `${message ?? String(error)}${hint === undefined ? "" : `\nhint: ${hint}`}` };
  }
}

/** True for a call that needs nothing but its words and the key: a verb, its paths, a repository. */
export function isPlainWalCall(words: readonly string[]): boolean {
  const [verb, ...rest] = words;
  const parsed = parse(rest);
  return parsed?.repo !== undefined && requestOf(verb, parsed, "/") !== undefined;
}

function parse(words: readonly string[]): ParsedWords | undefined {
  const plain: string[] = [];
  const values: { repo?: string | undefined; socket?: string | undefined } = {};
  let tails = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const [, name, value] = /^--(repo|socket)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === "repo" || name === "socket") {
      if (values[name] !== undefined) return undefined;
      values[name] = value ?? words[++at];
      if (!values[name]) return undefined;
    } else if (word === "--tails") tails = true;
    else if (word.startsWith("-")) return undefined;
    else plain.push(word);
  }
  return { words: plain, repo: values.repo, socket: values.socket, tails };
}

function requestOf(verb: string | undefined, parsed: ParsedWords, workingDirectory: string): WalRequest | undefined {
  const { words, tails } = parsed;
  const [first, second] = words;
  if (verb === "push" && words.length === 1) return { verb, path: resolve(workingDirectory, first!) };
  if (verb !== "fetch" || words.length !== 2) return undefined;
  return { verb, name: first!, destination: resolve(workingDirectory, second!), tails };
}

/** The daemon's answer; undefined when none listens. */
function ask(socketPath: string, request: WalRequest): Promise<WalAnswer | undefined> {
  return new Promise((done, reject) => {
    const socket = connect(socketPath);
    let text = "";
    let connected = false;
    socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    socket.on("connect", () => {
      connected = true;
      socket.write(`${JSON.stringify(request)}\n`);
    });
    socket.on("error", (error) => (connected ? reject(error) : done(undefined)));
    socket.on("end", () => {
      if (!text.endsWith("\n")) reject(new Error("the WAL daemon went away"));
      else done(JSON.parse(text) as WalAnswer);
      socket.end();
    });
  });
}

async function keyFrom(environment: WalCommandInput["environment"]): Promise<string | undefined> {
  const file = environment["BACKUP_ENCRYPTION_KEY_FILE"];
  if (file) return (await readFile(file, "utf8")).trim();
  return environment["BACKUP_ENCRYPTION_KEY"];
}
