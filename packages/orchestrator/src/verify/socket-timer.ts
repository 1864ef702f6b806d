import { readFile } from "node:fs/promises";

/** What the kernel says of one TCP socket of this machine. */
export interface SocketTimer {
  /** True while the kernel's keep-alive timer runs on it. */
  readonly keepAlive: boolean;
  /** Until it fires, milliseconds. */
  readonly dueMs: number;
}

/** Column `tr` of `/proc/net/tcp`. @see https://docs.kernel.org/networking/proc_net_tcp.html */
const keepAliveTimer = "02";
const jiffyMs = 10;

/**
 * Reads the timer of the connection between two ports of this machine's sockets; undefined where the kernel shows none
 * (not Linux) or the connection is not there.
 */
export async function readSocketTimer(localPort: number, remotePort: number): Promise<SocketTimer | undefined> {
  const tables = await Promise.all(
    ["/proc/net/tcp", "/proc/net/tcp6"].map((file) => readFile(file, "utf8").catch(() => "")),
  );
  return findSocketTimer(tables.join("\n"), localPort, remotePort);
}

/** The pure half of `readSocketTimer`. */
export function findSocketTimer(table: string, localPort: number, remotePort: number): SocketTimer | undefined {
  const hex = (port: number): string => `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  for (const line of table.split("\n")) {
    const [, local, remote, , , timer] = line.trim().split(/\s+/);
    if (!local?.endsWith(hex(localPort)) || !remote?.endsWith(hex(remotePort)) || timer === undefined) continue;
    const [kind, when = "0"] = timer.split(":");
    return { keepAlive: kind === keepAliveTimer, dueMs: Number.parseInt(when, 16) * jiffyMs };
  }
  return undefined;
}
