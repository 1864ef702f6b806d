import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A folder of files for one test, removed when it ends. */
export interface Workspace extends AsyncDisposable {
  readonly directory: string;
  write(files: Readonly<Record<string, string | Uint8Array>>): Promise<void>;
  remove(name: string): Promise<void>;
  /** Makes a symbolic link to somewhere outside. */
  link(name: string, to: string): Promise<void>;
}

export async function makeWorkspace(files: Readonly<Record<string, string | Uint8Array>> = {}): Promise<Workspace> {
  const directory = await mkdtemp(join(tmpdir(), "migrate-"));
  const workspace: Workspace = {
    directory,
    async write(contents) {
      for (const [name, content] of Object.entries(contents)) {
        await mkdir(dirname(join(directory, name)), { recursive: true });
        await writeFile(join(directory, name), content);
      }
    },
    link: (name, to) => symlink(to, join(directory, name)),
    remove: (name) => rm(join(directory, name)),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
  await workspace.write(files);
  return workspace;
}
