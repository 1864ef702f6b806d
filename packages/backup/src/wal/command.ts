import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { resolve } from "node:path";
import type { WalAnswer, WalRequest } from "./daemon.ts";

/** What the command line and the environment give. */
export interface WalCommandInput {
  /** `push <path>` or `fetch <name> <path>`, with `--repo`, `--socket`, `--tails`. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
}

const usage = `usage: db-wal push <file> --repo <location> [--socket <path>]
       db-wal fetch <name> <file> --repo <location> [--socket <path>] [--tails]`;

/**
 * The whole of `db-wal`, for archive_command and restore_command: asks the daemon when there is one, else does it
 * itself. Imports nothing of the package before it has to, because it starts once per segment.
 * @returns never rejects; a mistaken call exits with 2 (push) or 255 (anything else), so that no WAL is dropped by it
 */
export async function runWalCommand(input: WalCommandInput): Promise<WalAnswer> {
  const [verb, ...rest] = input.arguments;
  const failed = verb === "push" ? 2 : 255;
  const parsed = parse(rest);
  const request = parsed && requestOf(verb, parsed.words, parsed.tails, input.workingDirectory);
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
    const location = parsed.repo;
    return await answerWalRequest(await openRepository(location, { encryptionKey }), request);
  } catch (error) {
    return { exitCode: failed, message: error instanceof Error ? error.message : String(error) };
  }
}

function parse(
  words: readonly string[],
): { words: string[]; repo: string | undefined; socket: string | undefined; tails: boolean } | undefined {
  const parsed = { words: [] as string[], repo: undefined, socket: undefined, tails: false } as {
    words: string[];
    repo: string | undefined;
    socket: string | undefined;
    tails: boolean;
  };
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === "--repo") parsed.repo = words[++at];
    else if (word === "--socket") parsed.socket = words[++at];
    else if (word === "--tails") parsed.tails = true;
    else if (word.startsWith("-")) return undefined;
    else parsed.words.push(word);
  }
  return parsed;
}

function requestOf(
  verb: string | undefined,
  words: readonly string[],
  tails: boolean,
  workingDirectory: string,
): WalRequest | undefined {
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
