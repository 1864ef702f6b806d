import { lchown, lstat, readdir, readlink, rename, rmdir, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { messageOf } from "@db/core";
import { StorageError } from "./errors.ts";
import type { ResolvedJobOptions } from "./options.ts";
import { syncDirectory } from "./repository/local-storage.ts";
import type { PlannedReplacement, RestorePlan } from "./restore-plan.ts";
import { claimTargetDirectory, clearTargetDirectory } from "./restore-target-directory.ts";

/**
 * Moves what is replaced aside, whole, to where the plan says: it is the safety backup. Then marks the directories as
 * a restore's. What fails on the way leaves everything where it was.
 * @returns what was moved
 * @throws {StorageError} @throws {DirectoryNotEmptyError}
 */
export async function takePlace(
  plan: RestorePlan,
  directories: readonly string[],
  job: ResolvedJobOptions,
): Promise<readonly PlannedReplacement[]> {
  const moved: PlannedReplacement[] = [];
  const former = { ...plan.former };
  try {
    for (const replaced of plan.replaces) {
      await moveAside(replaced);
      moved.push(replaced);
      former[replaced.directory] = replaced.keptAs;
    }
    await pointTablespaces(
      plan.replaces,
      (place) => place.directory,
      (place) => place.keptAs,
    );
    const unfinished = { label: plan.backup.label, former };
    for (const directory of directories) await claimTargetDirectory(directory, unfinished);
    return moved;
  } catch (error) {
    await putBack(moved, job);
    throw error;
  }
}

async function moveAside({ directory, keptAs }: PlannedReplacement): Promise<void> {
  if (await lstat(keptAs).catch(() => undefined)) {
    throw new StorageError(`cannot move ${directory} aside: ${keptAs} is there already`, {
      hint: "Plan again: a free name is chosen.",
    });
  }
  try {
    await rename(directory, keptAs);
    await syncDirectory(dirname(directory));
  } catch (cause) {
    throw new StorageError(`cannot move ${directory} aside: ${messageOf(cause)}`, {
      cause,
      hint: "A mount point cannot be moved: restore into another directory, beside it.",
    });
  }
}

/**
 * Makes the links of the cluster that was moved aside lead to its own tablespaces, where they are now: it can be started
 * as it lies, and never on the files of the one that took its place.
 */
async function pointTablespaces(
  replaced: readonly PlannedReplacement[],
  from: (place: PlannedReplacement) => string,
  to: (place: PlannedReplacement) => string,
): Promise<void> {
  const [data, ...tablespaces] = replaced;
  if (!data || tablespaces.length === 0) return;
  const links = join(data.keptAs, "pg_tblspc");
  for (const name of await readdir(links)) {
    const link = join(links, name);
    const target = await readlink(link).catch(() => undefined);
    const place = tablespaces.find((each) => from(each) === target);
    if (!place) continue;
    // Made beside and renamed: there is a link at every moment.
    const { uid, gid } = await lstat(link);
    await symlink(to(place), `${link}.moved`, "junction");
    if (process.getuid?.() === 0) await lchown(`${link}.moved`, uid, gid);
    await rename(`${link}.moved`, link);
  }
  await syncDirectory(links);
}

/** Gives a replaced cluster its directories back, once a failed restore has cleared them; never throws. */
export async function putBack(moved: readonly PlannedReplacement[], { logger }: ResolvedJobOptions): Promise<void> {
  await pointTablespaces(
    moved,
    (place) => place.keptAs,
    (place) => place.directory,
  ).catch((error: unknown) =>
    logger.error({ error: messageOf(error) }, "the former cluster's tablespaces are linked where they were moved to"),
  );
  for (const { directory, keptAs } of moved.toReversed()) {
    try {
      await clearTargetDirectory(directory);
      await rmdir(directory).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
      await rename(keptAs, directory);
      await syncDirectory(dirname(directory));
      logger.info({ directory }, "the former cluster is back in its place");
    } catch (error) {
      logger.error({ directory, keptAs, error: messageOf(error) }, "the former cluster stays where it was moved to");
    }
  }
}
