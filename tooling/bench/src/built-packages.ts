import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { messageOf } from "@db/core";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const execute = promisify(execFile);

/** The house's own binary, as built. */
export const dbBinary: string = `${root}/apps/cli/bin/db.js`;

/** A script of this package, as built. */
export const migrationProcess: string = fileURLToPath(new URL("migration-process.ts", import.meta.url))
  .replace("/src/", "/dist/")
  .replace(/ts$/, "js");

/** The same, for the process that answers scrapes. */
export const monitorProcess: string = fileURLToPath(new URL("monitor-process.ts", import.meta.url))
  .replace("/src/", "/dist/")
  .replace(/ts$/, "js");

/**
 * Builds what whole processes run: a user's process loads built packages, and types stripped at every start would be a
 * cost of ours alone.
 * @returns why they cannot be built; undefined when they are
 */
export async function buildPackages(): Promise<string | undefined> {
  const projects = ["tooling/bench", "apps/cli"].map((project) => `${root}/${project}`);
  try {
    await execute(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, "-b", ...projects]);
    await execute(process.execPath, [`${root}/tooling/launch/bundle.mjs`, "--all"]);
    return undefined;
  } catch (error) {
    return `the packages cannot be built: ${messageOf(error)}`;
  }
}
