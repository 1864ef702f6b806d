import { execFile } from "node:child_process";
import { constants, open as openDescriptor } from "node:fs";
import { mkdir, open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import type { WalAnswer, WalRequest } from "./daemon.ts";

/** Serves requests that come by pipe. */
export interface Mailbox {
  /** Tells whoever still waits that nobody serves them any more. */
  close(): Promise<void>;
}

const longestRequest = 4096;

/**
 * Serves `bin/db-wal-sh`, which speaks to pipes because a shell can, and starts ten times faster than Node: `requests`
 * takes one line a request, `answer.<pid>` the client's answer. The pid file says who serves, and that somebody does.
 * @param directory is made, open to this account alone
 * @returns undefined where there are no pipes with names
 */
export async function openMailbox(
  directory: string,
  serve: (request: WalRequest) => Promise<WalAnswer>,
): Promise<Mailbox | undefined> {
  if (process.platform === "win32") return undefined;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // What a killed daemon and its clients left.
  for (const name of await readdir(directory)) await rm(join(directory, name), { force: true });
  const requests = join(directory, "requests");
  try {
    await promisify(execFile)("mkfifo", ["-m", "600", requests]);
  } catch {
    return undefined;
  }
  // Open for both, so that it does not end whenever no client has it open.
  const fd = await promisify(openDescriptor)(requests, constants.O_RDWR | constants.O_NONBLOCK);
  const socket = new Socket({ fd, readable: true, writable: false });
  const waiting = new Set<string>();
  const take = async (line: string): Promise<void> => {
    const [answers, request] = parseLine(line);
    if (answers === undefined) return;
    waiting.add(answers);
    const { exitCode, message } = request ? await serve(request) : { exitCode: -1, message: "not understood" };
    if (!waiting.delete(answers)) return;
    const lines = message === "" ? [] : message.split("\n").slice(0, 20);
    await put(join(directory, answers), [`${exitCode} ${lines.length}`, ...lines]);
  };
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (text + chunk).split("\n");
    text = lines.pop()!.slice(-longestRequest);
    for (const line of lines) void take(line);
  });
  socket.on("error", () => undefined);
  const pid = join(directory, "pid");
  await writeFile(`${pid}.new`, `${process.pid}\n`, { mode: 0o600 });
  await rename(`${pid}.new`, pid);
  return {
    close: async () => {
      await rm(pid, { force: true });
      socket.destroy();
      for (const answers of waiting) await put(join(directory, answers), ["gone 0"]);
      waiting.clear();
      await rm(requests, { force: true });
    },
  };
}

/** Writes an answer where somebody reads it; who went away gets none. */
async function put(path: string, lines: readonly string[]): Promise<void> {
  try {
    const file = await open(path, constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      // The client has it open: gone by name, it is one program less for the shell to start.
      await rm(path, { force: true });
      // In one piece, as far as a pipe takes one: a client never sees half a line of it.
      await file.write(Buffer.from(`${lines.join("\n")}\n`).subarray(0, longestRequest));
    } finally {
      await file.close();
    }
  } catch {
    // The client is gone, and its pipe.
  }
}

/** `answer.<pid>`, a tab, and the words of the request with tabs between them. */
function parseLine(line: string): readonly [string | undefined, WalRequest | undefined] {
  const [answers = "", verb, ...words] = line.split("\t");
  if (!/^answer\.\d+$/.test(answers)) return [undefined, undefined];
  if (verb === "push" && words.length === 1) return [answers, { verb, path: words[0]! }];
  if (verb !== "fetch" || words.length !== 3) return [answers, undefined];
  return [answers, { verb, name: words[0]!, destination: words[1]!, tails: words[2] === "1" }];
}
