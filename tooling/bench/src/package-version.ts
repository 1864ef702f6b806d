import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** Version of a package this one depends on, from its own package.json; "unknown" when it cannot be read. */
export async function packageVersion(name: string): Promise<string> {
  // Not by import: some packages do not let their package.json be imported.
  const file = fileURLToPath(new URL(`../node_modules/${name}/package.json`, import.meta.url));
  try {
    return (JSON.parse(await readFile(file, "utf8")) as { version?: string }).version ?? "unknown";
  } catch {
    return "unknown";
  }
}
