import { link, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Writes a file that is there whole or not at all, whenever the process is killed; never over one that is there. */
export async function writeWholeFile(path: string, content: string): Promise<void> {
  const draft = draftOf(path);
  await writeFile(draft, content, { flush: true });
  try {
    await link(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}

/** The same over one that is there. */
export async function replaceWholeFile(path: string, content: string): Promise<void> {
  const draft = draftOf(path);
  await writeFile(draft, content, { flush: true });
  await rename(draft, path);
}

/** Beside it, so that a rename is no copy, and with a name that no migration has. */
function draftOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.part`);
}
