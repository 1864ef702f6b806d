import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { LocalTopologyOptions } from "@db/embedded";

/** What the child process says, one object per line. */
export interface ChildEvent {
  readonly event: "progress" | "open" | "closed" | "failed";
  readonly message?: string;
  readonly code?: string;
  readonly url?: string;
  readonly replicas?: readonly string[];
}

/** A process of its own that opens a topology. */
export interface TopologyChild {
  readonly process: ChildProcess;
  readonly events: readonly ChildEvent[];
  /** Resolves with the first event that fits; rejects when the process ends without one. */
  until(fits: (event: ChildEvent) => boolean): Promise<ChildEvent>;
  /** Resolves when it has ended. */
  ended: Promise<void>;
}

export function startChild(
  options: Partial<LocalTopologyOptions>,
  spawnOptions: { readonly uid?: number; readonly gid?: number } = {},
): TopologyChild {
  const script = fileURLToPath(new URL("open-topology.ts", import.meta.url));
  const child = spawn(process.execPath, ["--conditions=@db/source", script, JSON.stringify(options)], {
    stdio: ["pipe", "pipe", "inherit"],
    ...spawnOptions,
  });
  const events: ChildEvent[] = [];
  const waiting = new Set<() => void>();
  const lines = createInterface({ input: child.stdout! });
  lines.on("line", (line) => {
    events.push(JSON.parse(line) as ChildEvent);
    for (const look of waiting) look();
  });
  const ended = new Promise<void>((resolve) => lines.once("close", resolve));
  return {
    process: child,
    events,
    ended,
    until: (fits) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = events.find(fits);
          if (found !== undefined) resolve(found);
        };
        waiting.add(look);
        look();
        void ended.then(() => reject(new Error(`the child ended after ${JSON.stringify(events.at(-1))}`)));
      }),
  };
}
