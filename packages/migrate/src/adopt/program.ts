import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { messageOf } from "@db/core";

/** A migration's own code ran and could not be written down as SQL. Internal: callers see a finding. */
export class ProgramError extends Error {}

/** Loads a migration written as a program; default and named exports side by side. */
export async function loadProgram(file: string): Promise<Readonly<Record<string, unknown>>> {
  let loaded: Record<string, unknown>;
  try {
    loaded = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>;
  } catch (error) {
    throw new ProgramError(`cannot be loaded: ${messageOf(error)}`, { cause: error });
  }
  const inner = loaded["default"];
  return { ...(typeof inner === "object" && inner !== null ? inner : {}), ...loaded };
}

/** The tool's own package, as the project that holds the folder has it installed. */
export async function loadPackage(directory: string, name: string): Promise<Readonly<Record<string, unknown>>> {
  let path: string;
  try {
    path = createRequire(resolve(directory, "noop.js")).resolve(name);
  } catch (error) {
    throw new ProgramError(`needs the package ${name}, which is not installed where the folder is`, { cause: error });
  }
  const loaded = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  const inner = loaded["default"];
  return { ...(typeof inner === "object" && inner !== null ? inner : {}), ...loaded, default: inner ?? loaded };
}
