import { dirname, join } from "node:path";
import type { ReadFile } from "./file-content.ts";

/** Names of configuration files; a folder may have one of them. */
const configNames = Object.freeze(["db.config.ts", "db.config.js", "db.config.mjs", "db.config.json"] as const);

/** What was found around a folder. */
export interface Discovery {
  /** The configuration files of the nearest folder that has any: more than one is a mistake to report. */
  readonly configFiles: readonly string[];
  /** The folder of the configuration file, else that of the nearest `.env`, else where the search began. */
  readonly projectDirectory: string;
  /** The nearest file of a name such as `.env`, or `undefined`. */
  nearest(name: string): string | undefined;
}

/** Answers whether something is there; a folder counts. */
export type Exists = (path: string) => boolean;

/**
 * Looks from `cwd` up to the root of the repository, the folder with `.git`. Outside of a repository only `cwd` is
 * looked at: a configuration file is code, and a parent folder may be anybody's.
 */
export function discover(cwd: string, exists: Exists, readFile: ReadFile): Discovery {
  const folders = foldersUpToRoot(cwd, exists);
  const nearest = (name: string): string | undefined =>
    folders.map((folder) => join(folder, name)).find((path) => exists(path));
  for (const folder of folders) {
    const configFiles = configNames.map((name) => join(folder, name)).filter((path) => exists(path));
    const manifest = join(folder, "package.json");
    if (exists(manifest) && hasSection(manifest, readFile)) configFiles.push(manifest);
    if (configFiles.length > 0) return { configFiles, projectDirectory: folder, nearest };
  }
  const dotenv = nearest(".env");
  return { configFiles: [], projectDirectory: dotenv === undefined ? cwd : dirname(dotenv), nearest };
}

function foldersUpToRoot(cwd: string, exists: Exists): readonly string[] {
  const folders: string[] = [];
  for (let folder = cwd; ; folder = dirname(folder)) {
    folders.push(folder);
    if (exists(join(folder, ".git"))) return folders;
    if (dirname(folder) === folder) return [cwd];
  }
}

function hasSection(manifest: string, readFile: ReadFile): boolean {
  try {
    const parsed: unknown = JSON.parse(readFile(manifest)?.text ?? "{}");
    return typeof parsed === "object" && parsed !== null && "db" in parsed;
  } catch {
    // A package.json that cannot be read is for the package manager to complain about.
    return false;
  }
}
