import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { messageOf } from "@db/core";
import type { Application } from "@db/orchestrator";
import { UsageError } from "./errors.ts";

/**
 * Loads an application module: a file, or a package's folder. Its default export, or the one export that has the
 * shape of an application, is taken.
 * @throws {UsageError} saying what is missing
 */
export async function loadApplication(path: string, cwd: string): Promise<Application> {
  const file = await entryOf(resolve(cwd, path));
  let module: Record<string, unknown>;
  try {
    module = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (cause) {
    throw new UsageError(`the application ${path} cannot be loaded: ${messageOf(cause)}`, {
      cause,
      hint: "Name a module that Node can import.",
    });
  }
  const found = [module["default"], ...Object.values(module)].find(isApplication);
  if (found) return found;
  throw new UsageError(`${path} exports no application`, {
    hint: "Export one made by defineApplication of @db/orchestrator.",
  });
}

async function entryOf(path: string): Promise<string> {
  if (!existsSync(path))
    throw new UsageError(`there is no application at ${path}`, { hint: "Give --app a module or a package's folder." });
  if (!(await stat(path)).isDirectory()) return path;
  const entry = resolve(path, "dist/index.js");
  if (existsSync(entry)) return entry;
  throw new UsageError(`the application ${path} is not built`, { hint: "Build it, or name the module itself." });
}

function isApplication(value: unknown): value is Application {
  const candidate = value as Partial<Application> | undefined;
  return (
    typeof candidate?.name === "string" &&
    typeof candidate.migrationsDirectory === "string" &&
    Array.isArray(candidate.validationRules)
  );
}
