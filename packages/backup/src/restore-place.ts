import { lstat, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { InvalidBackupOptionsError } from "./errors.ts";
import type { BackupManifest } from "./manifest.ts";
import type { PlannedReplacement, PlannedTablespace, RestorePlan, RestorePlanOptions } from "./restore-plan.ts";
import {
  checkReplacedCluster,
  checkTargetDirectory,
  inspectTargetDirectory,
  readUnfinishedRestore,
} from "./restore-target-directory.ts";

/**
 * Decides what becomes of what lies where a restore shall write.
 * @throws {DirectoryNotEmptyError} @throws {ClusterChangedError} @throws {InvalidBackupOptionsError}
 */
export async function planPlace(
  options: Pick<RestorePlanOptions, "directory" | "replace" | "delta">,
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
  for (const tablespace of tablespaces) await checkTablespacePath(tablespace);
  for (const path of [directory, ...tablespaces.map(({ to }) => to)]) {
    const state = await inspectTargetDirectory(path);
    if (state === "unfinished") {
      resumes = true;
      Object.assign(former, (await readUnfinishedRestore(path)).former);
    } else if (state === "occupied") {
      if (options.replace !== true) await checkTargetDirectory(path, moveHint(path, tablespaces));
      const keptAs = await freeName(`${path}.before-${manifest.label}`);
      replaces.push({ directory: path, keptAs });
      former[path] = keptAs;
    }
  }
  return { replaces, resumes, former: options.delta === false ? {} : former };
}

function moveHint(path: string, tablespaces: readonly PlannedTablespace[]): string | undefined {
  const oid = tablespaces.find(({ to }) => to === path)?.oid;
  return (
    oid && `Give the tablespace another directory (--tablespace ${oid}=<folder>), or replace the cluster it is of.`
  );
}

/**
 * A tablespace goes back to the server's own directory only where there is such a place: a disk that is not mounted must
 * not become a directory on another one.
 * @throws {InvalidBackupOptionsError}
 */
async function checkTablespacePath({ oid, from, to }: PlannedTablespace): Promise<void> {
  if (to !== from || (await stat(dirname(to)).catch(() => undefined))?.isDirectory() === true) return;
  throw new InvalidBackupOptionsError(`tablespace ${oid} was in ${from}, and there is no ${dirname(to)} here`, {
    hint: `Mount or make it, or give the tablespace another directory (--tablespace ${oid}=<folder>).`,
  });
}

async function freeName(wanted: string): Promise<string> {
  for (let number = 1; ; number++) {
    const name = number === 1 ? wanted : `${wanted}-${number}`;
    if (!(await lstat(name).catch(() => undefined))) return name;
  }
}
