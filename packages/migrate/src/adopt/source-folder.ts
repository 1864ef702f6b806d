import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "@db/core";
import { sha256 } from "../checksum.ts";
import { MigrationFolderError } from "../errors.ts";

/** The names in a folder, sorted. @throws {MigrationFolderError} */
export async function namesIn(directory: string): Promise<{ files: string[]; folders: string[] }> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
    const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    return { files: files.toSorted(), folders: folders.toSorted() };
  } catch (error) {
    throw new MigrationFolderError(`cannot read the folder ${directory}: ${messageOf(error)}`, {
      cause: error,
      hint: "Give the folder in which the other tool keeps its migrations.",
    });
  }
}

/** A file's text and the SHA-256 of its bytes; null when it is not there. */
export async function readSource(...path: readonly string[]): Promise<{ text: string; hash: string } | null> {
  let bytes: Buffer;
  try {
    bytes = await readFile(join(...path));
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw new MigrationFolderError(`cannot read ${join(...path)}: ${messageOf(error)}`, { cause: error });
  }
  return { text: new TextDecoder("utf-8").decode(bytes), hash: sha256(bytes) };
}
