import { readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { openRepository, startWalDaemon, type WalDaemon } from "@db/backup";
import type { Benchmark, Contender } from "./benchmark.ts";
import { timeFigures } from "./figures.ts";
import { openWal, type WalArena } from "./wal-arena.ts";

/** What a run left, to be looked at after the clock stopped. */
interface Stored {
  readonly original: string;
  /** Brings the segment back, where the run did not. @returns where it lies */
  bring(): Promise<string>;
  end(): Promise<void>;
}

/** Segments that a daemon has taken and given back before it is measured. */
const served = 3;

/** What PostgreSQL waits for, segment by segment: a whole process, the segment durable or back when it ends. */
export const walSegment: Benchmark<WalArena, Stored> = {
  name: "wal-segment",
  title: "one WAL segment of 16 MB, encrypted, zstd 1, as a whole process",
  cases: [
    { name: "push", title: "archive_command" },
    { name: "fetch", title: "restore_command" },
  ],
  setup: openWal,
  contenders: [ours("db_wal"), ours("db_wal_daemon", "node"), ours("db_wal_sh", "sh"), pgbackrest()],
  check: async (_arena, _run, { answer }) => {
    const path = await answer.bring();
    const [brought, original] = await Promise.all([readFile(path), readFile(answer.original)]);
    await rm(path);
    await answer.end();
    return brought.equals(original) ? undefined : "the segment that came back is another";
  },
  figures: (measurements) => timeFigures(measurements, "db_wal_sh"),
};

/** @param client of a daemon; without one the command does all of it */
function ours(name: string, client?: "node" | "sh"): Contender<WalArena, Stored> {
  return {
    name,
    package: "@db/backup",
    async prepare(arena, run) {
      const [first, original] = pairOf(arena, run.round);
      const repository = arena.freshPath();
      const path = arena.freshPath();
      // The repository is there: only the very first segment of its life pays for that.
      await arena.runOurs(["push", first, "--repo", repository]);
      const flags = ["--repo", repository];
      let serving: WalDaemon | undefined;
      if (client !== undefined) {
        const socketPath = `${arena.freshPath()}.sock`;
        const opened = await openRepository(repository, { encryptionKey: arena.encryptionKey });
        serving = await startWalDaemon({ repository: opened, socketPath });
        flags.push("--socket", socketPath);
        // A daemon serves segment after segment; its first few, like any program's first steps, are slower.
        const others = arena.segments.filter((segment) => segment !== first && segment !== original);
        for (const other of others.slice(0, served)) {
          await arena.runOurs(["push", other, ...flags]);
          const back = join(arena.dataDirectory, "pg_wal", `fetched-before-${basename(path)}`);
          await arena.runOurs(["fetch", basename(other), back, ...flags]);
          await rm(back);
        }
      }
      const runOurs = client === "sh" ? arena.runShell : arena.runOurs;
      const push = ["push", original, ...flags];
      // The place to fetch to lies in the data directory, as it does in a recovery: it tells which cluster it is.
      const place = join(arena.dataDirectory, "pg_wal", `fetched-${basename(path)}`);
      const fetch = ["fetch", basename(original), place, ...flags];
      if (run.case === "fetch") await arena.runOurs(push);
      return async () => {
        await runOurs(run.case === "fetch" ? fetch : push);
        const bring = async (): Promise<string> => {
          if (run.case === "push") await runOurs(fetch);
          return place;
        };
        return { operations: 1, answer: { original, bring, end: async () => serving?.close() } };
      };
    },
  };
}

function pgbackrest(): Contender<WalArena, Stored> {
  return {
    name: "pgbackrest",
    async prepare(arena, run) {
      const [first, original] = pairOf(arena, run.round);
      const repository = arena.freshPath();
      const path = arena.freshPath();
      await arena.runPgbackrest(repository, ["stanza-create"]);
      await arena.runPgbackrest(repository, ["archive-push", first]);
      if (run.case === "fetch") await arena.runPgbackrest(repository, ["archive-push", original]);
      const get = ["archive-get", basename(original), path];
      return async () => {
        await arena.runPgbackrest(repository, run.case === "fetch" ? get : ["archive-push", original]);
        const bring = async (): Promise<string> => {
          if (run.case === "push") await arena.runPgbackrest(repository, get);
          return path;
        };
        return { operations: 1, answer: { original, bring, end: async () => undefined } };
      };
    },
  };
}

/** A segment for the warm-up, and the one that is measured: another one each round. */
function pairOf({ segments }: WalArena, round: number): readonly [string, string] {
  return [segments[0]!, segments[1 + (round % (segments.length - 1))]!];
}
