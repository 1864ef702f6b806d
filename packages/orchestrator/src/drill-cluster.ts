import { chmod, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { DrillCluster } from "@db/backup";
import type { Config } from "@db/config";
import {
  defaultCacheDirectory,
  requireBinaries,
  serverAccount,
  sharedDirectory,
  startGuard,
  startTemporaryCluster,
} from "@db/embedded";
import { connectionOf } from "./pool-options.ts";

/** Where a drill restores to, and as whom. */
export interface DrillPlace {
  readonly directory: string;
  /** Who the restored files must belong to, so that a server may run on them; undefined: whoever runs this. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

/** Gives a drill a directory of its own for as long as it runs; it is gone afterwards, even after a SIGKILL. */
export async function withDrillPlace<T>(use: (place: DrillPlace) => Promise<T>): Promise<T> {
  const owner = await serverAccount();
  const directory = await mkdtemp(join(await sharedDirectory("drills", owner), `${process.pid}-`));
  const guard = startGuard({ mode: "immediate", removeDirectory: directory });
  try {
    await chmod(directory, 0o711);
    return await use({ directory, owner });
  } finally {
    await rm(directory, { recursive: true, force: true });
    guard.dismiss();
  }
}

/**
 * Starts a server on a restored data directory, on loopback and for the configured role only: its password came along
 * with the data, so nobody else gets in.
 */
export async function startDrillCluster(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
  dataDirectory: string,
  major: number,
  signal: AbortSignal | undefined,
): Promise<DrillCluster> {
  const url = new URL(connectionOf(config).primaryUrl.reveal());
  const cacheDirectory = defaultCacheDirectory(env);
  const binaries = await requireBinaries({
    version: major,
    ...(env["PATH"] === undefined ? {} : { path: env["PATH"] }),
    ...(cacheDirectory === undefined ? {} : { cacheDirectory }),
  });
  const temporary = await startTemporaryCluster({
    dataDirectory,
    binaries,
    username: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    // Without a password the role came in by another way that a copy cannot offer: loopback alone has to do.
    ...(url.password === "" ? { hba: "host all all 127.0.0.1/32 trust\n" } : {}),
    ...(signal === undefined ? {} : { signal }),
  });
  const restored = new URL(temporary.url);
  restored.pathname = url.pathname;
  return { url: restored.href, stop: async () => temporary[Symbol.asyncDispose]() };
}
