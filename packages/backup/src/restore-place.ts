import { resolve } from "node:path";
import { lstat } from "node:fs/promises";
import type { BackupManifest } from "./manifest.ts";
import type { PlannedReplacement, PlannedTablespace, RestorePlan } from "./restore-plan.ts";
import {
  checkReplacedCluster,
  checkTargetDirectory,
  inspectTargetDirectory,
  readUnfinishedRestore,
} from "./restore-target-directory.ts";

/**
 * Decides what becomes of what lies where a restore shall write.
 * @throws {DirectoryNotEmptyError} @throws {ClusterChangedError}
 */
export async function planPlace(
  options: { readonly directory: string; readonly replace?: boolean | undefined },
  manifest: BackupManifest,
  tablespaces: readonly PlannedTablespace[],
): Promise<Pick<RestorePlan, "replaces" | "resumes" | "former">> {
  // As it was given first: a relative path is refused, not resolved.
  const data = await inspectTargetDirectory(options.directory);
  const directory = resolve(options.directory);
  if (options.replace !== true) await checkTargetDirectory(directory);
  else if (data === "occupied") await checkReplacedCluster(directory, manifest.systemIdentifier);
  const replaces: PlannedReplacement[] = [];
  const former: Record<string, string> = {};
  let resumes = false;
  for (const path of [directory, ...tablespaces.map(({ to }) => to)]) {
    const state = await inspectTargetDirectory(path);
    if (state === "unfinished") {
      resumes = true;
      Object.assign(former, (await readUnfinishedRestore(path)).former);
    } else if (state === "occupied") {
      if (options.replace !== true) await checkTargetDirectory(path);
      const keptAs = await freeName(`${path}.before-${manifest.label}`);
      replaces.push({ directory: path, keptAs });
      former[path] = keptAs;
    }
  }
  return { replaces, resumes, former };
}

async function freeName(wanted: string): Promise<string> {
  for (let number = 1; ; number++) {
    const name = number === 1 ? wanted : `${wanted}-${number}`;
    if (!(await lstat(name).catch(() => undefined))) return name;
  }
}
