import { chmod, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { isDbError, messageOf } from "@db/core";
import { type JobOptions, resolveJobOptions } from "../options.ts";
import { FrameThreads } from "../repository/frame-threads.ts";
import type { Repository } from "../repository/repository.ts";
import { walDone, walFetchFailed, walNotThere, walPushFailed } from "./exit-code.ts";
import { openMailbox } from "./mailbox.ts";
import { fetchWith } from "./fetch.ts";
import { pushWith } from "./push.ts";

/** One segment at a time is what a server asks for: a third thread would find nothing to do. */
const sealingThreads = 2;
const mostWithThreads = 2;

/** What a client asks of the daemon, one JSON line. Paths are absolute. */
export type WalRequest =
  | { readonly verb: "push"; readonly path: string }
  | { readonly verb: "fetch"; readonly name: string; readonly destination: string; readonly tails: boolean };

/** The answer, one JSON line: what the command exits with and says on stderr. */
export interface WalAnswer {
  readonly exitCode: number;
  readonly message: string;
}

/** What a daemon serves. */
export interface WalDaemonOptions extends Omit<JobOptions, "onProgress"> {
  readonly repository: Repository;
  /**
   * A path of at most 100 bytes; whoever may open it may archive. The folder `<path>.box` beside it has the pipes of
   * `db-wal-sh`.
   */
  readonly socketPath: string;
}

/** A daemon that runs. */
export interface WalDaemon extends AsyncDisposable {
  close(): Promise<void>;
}

/**
 * Does one request, and turns whatever happens into the exit code PostgreSQL understands. Never throws.
 * @param threads that seal and open; by default this one does
 */
export async function answerWalRequest(
  repository: Repository,
  request: WalRequest,
  threads?: FrameThreads,
): Promise<WalAnswer> {
  try {
    if (request.verb === "push") {
      const { name, result } = await pushWith({ repository, path: request.path }, threads);
      return { exitCode: walDone, message: result === "duplicate" ? `${name} was stored before` : "" };
    }
    const { found } = await fetchWith({ repository, ...request }, threads);
    return found
      ? { exitCode: walDone, message: "" }
      : { exitCode: walNotThere, message: `${request.name} is not there` };
  } catch (error) {
    const hint = isDbError(error) && error.hint !== undefined ? `\nhint: ${error.hint}` : "";
    const exitCode = request.verb === "push" ? walPushFailed : walFetchFailed;
    return { exitCode, message: messageOf(error) + hint };
  }
}

/**
 * Serves `db-wal push` and `fetch` from one process that is warm and has the key, so that the command itself only
 * passes the request on.
 */
export async function startWalDaemon(options: WalDaemonOptions): Promise<WalDaemon> {
  const { logger } = resolveJobOptions(options);
  const sockets = new Set<Socket>();
  let threads = new FrameThreads(sealingThreads);
  const underWay = new Set<Promise<WalAnswer>>();
  const answerLogged = async (request: WalRequest): Promise<WalAnswer> => {
    if (threads.failed) {
      // A thread that ended took the others' work along: PostgreSQL asks again, and finds new ones.
      const ended = threads;
      threads = new FrameThreads(sealingThreads);
      await ended.close();
    }
    // Objects that wait for each other's memory would wait for ever: what comes on top does without threads.
    const own = underWay.size < mostWithThreads ? threads : undefined;
    const answering = answerWalRequest(options.repository, request, own);
    underWay.add(answering);
    const answer = await answering;
    underWay.delete(answering);
    if (answer.exitCode > 1) logger.error({ ...request, error: answer.message }, "WAL request failed");
    return answer;
  };
  const serve = async (socket: Socket, request: WalRequest): Promise<void> => {
    const answer = await answerLogged(request);
    socket.end(`${JSON.stringify(answer)}\n`);
  };
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      const end = text.indexOf("\n");
      if (end < 0) {
        if (text.length > 65_536) socket.destroy();
        return;
      }
      const request = parseRequest(text.slice(0, end));
      text = "";
      if (request) void serve(socket, request);
      else socket.destroy();
    });
  });
  // A socket nobody listens on is what a killed daemon left.
  await rm(options.socketPath, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.socketPath, resolve);
  });
  await chmod(options.socketPath, 0o600);
  const mailbox = await openMailbox(`${options.socketPath}.box`, answerLogged);
  const close = async (): Promise<void> => {
    await mailbox?.close();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
    await Promise.all(underWay);
    await threads.close();
  };
  options.signal?.addEventListener("abort", () => void close(), { once: true });
  return { close, [Symbol.asyncDispose]: close };
}

function parseRequest(line: string): WalRequest | undefined {
  try {
    const request = JSON.parse(line) as Partial<Record<string, unknown>>;
    if (request["verb"] === "push" && typeof request["path"] === "string") {
      return { verb: "push", path: request["path"] };
    }
    const { verb, name, destination, tails } = request;
    if (verb === "fetch" && typeof name === "string" && typeof destination === "string") {
      return { verb, name, destination, tails: tails === true };
    }
  } catch {
    // Falls through: whoever does not speak this is no client.
  }
  return undefined;
}
