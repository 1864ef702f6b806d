import { spawn } from "node:child_process";

/** What the guard does with the servers it watches once its process has ended. */
export interface GuardOptions {
  /** `fast` leaves clean data; `immediate` is for data nobody will miss. */
  readonly mode: "fast" | "immediate";
  /** A directory to delete once its servers have ended. */
  readonly removeDirectory?: string;
}

/** A small process that ends servers when this one did not. */
export interface Guard {
  readonly pid: number | undefined;
  /** Tells the guard of a server the moment it exists. */
  watch(pid: number, dataDirectory: string): void;
  /** Ends the guard with nothing done: its servers were stopped in order. */
  dismiss(): void;
}

// Reads lines "pid directory" until the pipe from the guarded process closes, which the kernel does however that
// process ends, or until "dismiss". A process counts only while its command line names its directory. A frozen server
// goes on before it can end; what it cannot wake of its children it kills after five seconds.
const script = `
list=
while IFS= read -r line; do
  [ "$line" = dismiss ] && exit 0
  list="$list$line
"
done
printf '%s' "$list" | while IFS=' ' read -r pid directory; do
  case "$(tr '\\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null || ps -o args= -p "$pid" 2>/dev/null)" in
    *"$directory"*) ;;
    *) continue;;
  esac
  kill -"$1" "$pid" 2>/dev/null
  kill -CONT "$pid" 2>/dev/null
done
printf '%s' "$list" | while IFS=' ' read -r pid directory; do
  n=0
  while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1 2>/dev/null || sleep 1; n=$((n+1)); done
done
[ -n "$2" ] && rm -rf "$2"
exit 0
`;

/**
 * Starts a guard: when this process ends without having stopped the servers it told of, even by SIGKILL, the guard
 * stops them. Not on Windows, where the record of the next start has to do.
 */
export function startGuard(options: GuardOptions): Guard {
  if (process.platform === "win32") return { pid: undefined, watch: () => undefined, dismiss: () => undefined };
  const signal = options.mode === "fast" ? "INT" : "QUIT";
  const child = spawn("/bin/sh", ["-c", script, "db-guard", signal, options.removeDirectory ?? ""], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
  });
  child.on("error", () => undefined);
  child.stdin.on("error", () => undefined);
  child.unref();
  // The pipe must not keep this process alive; the kernel closes it at the end.
  (child.stdin as unknown as { unref(): void }).unref();
  return {
    pid: child.pid,
    watch: (pid, dataDirectory) => void child.stdin.write(`${pid} ${dataDirectory}\n`),
    dismiss: () => void child.stdin.end("dismiss\n"),
  };
}
