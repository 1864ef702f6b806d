import { spawn } from "node:child_process";
import { identify } from "./process-identity.ts";

/** What the guard does with the servers it finds once its process has ended. */
export interface GuardOptions {
  /** `fast` leaves clean data; `immediate` is for data nobody will miss. */
  readonly mode: "fast" | "immediate";
  /** Deletes the whole directory once no server runs in it. */
  readonly removeDirectory: boolean;
}

/** A guard at work. */
export interface Guard {
  readonly pid: number | undefined;
  /** Ends the guard without any action: its process stopped the servers itself. */
  dismiss(): void;
}

// Reads until the pipe from the guarded process closes, which the kernel does however that process ends.
// A line "dismiss" ends it with nothing done. A server counts only when its command line names its directory.
const script = `
while IFS= read -r line; do [ "$line" = dismiss ] && exit 0; done
pids=
find "$1" -name postmaster.pid 2>/dev/null > "$1/.guard" || :
while IFS= read -r file; do
  read -r pid < "$file" || continue
  case "$(ps -o args= -p "$pid" 2>/dev/null || tr '\\0' ' ' < "/proc/$pid/cmdline")" in
    *"\${file%/postmaster.pid}"*) kill -"$2" "$pid" 2>/dev/null; pids="$pids $pid";;
  esac
done < "$1/.guard"
for file in "$1"/*/frozen "$1"/*/*/frozen; do [ -f "$file" ] && kill -CONT $(cat "$file") 2>/dev/null; done
for pid in $pids; do
  kill -CONT "$pid" 2>/dev/null
  n=0
  while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1 2>/dev/null || sleep 1; n=$((n+1)); done
  kill -0 "$pid" 2>/dev/null && kill -QUIT "$pid" 2>/dev/null
done
rm -f "$1/.guard"
[ "$3" = remove ] && rm -rf "$1"
exit 0
`;

/**
 * Starts a small process that stops every server below `directory` when this process ends without having done so,
 * even by SIGKILL. Not on Windows, where the record of the next start has to do.
 */
export async function startGuard(directory: string, options: GuardOptions): Promise<Guard> {
  if (process.platform === "win32") return { pid: undefined, dismiss: () => undefined };
  const signal = options.mode === "fast" ? "INT" : "QUIT";
  const remove = options.removeDirectory ? "remove" : "keep";
  const child = spawn("/bin/sh", ["-c", script, "db-guard", directory, signal, remove], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
  });
  child.on("error", () => undefined);
  child.stdin.on("error", () => undefined);
  child.unref();
  // The pipe must not keep this process alive; the kernel closes it at the end.
  (child.stdin as unknown as { unref(): void }).unref();
  const identity = child.pid === undefined ? undefined : await identify(child.pid);
  return { pid: identity?.pid, dismiss: () => void child.stdin.end("dismiss\n") };
}
