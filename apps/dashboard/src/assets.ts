import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DbError } from "@db/core";

/** Folder of the built files: names with a hash in them, safe to cache for ever. */
export const assetsDirectory: string = fileURLToPath(new URL("../dist/assets", import.meta.url));

/** The page's script and styles were never built. */
export class AssetsMissingError extends DbError {
  override readonly code = "DASHBOARD_ASSETS_MISSING";
}

/** File names below `assetsDirectory`. */
export interface Assets {
  readonly script: string;
  readonly styles: readonly string[];
}

let found: Assets | undefined;

/** @throws {AssetsMissingError} before the first build */
export function readAssets(): Assets {
  found ??= readManifest();
  return found;
}

function readManifest(): Assets {
  let text: string;
  try {
    text = readFileSync(`${assetsDirectory}/manifest.json`, "utf8");
  } catch (cause) {
    throw new AssetsMissingError("the dashboard's files are not built", {
      cause,
      hint: "Run `npm run setup` in the project.",
    });
  }
  const entry = (JSON.parse(text) as Record<string, { file: string; css?: string[] }>)["src/client.tsx"];
  if (!entry)
    throw new AssetsMissingError("the dashboard's manifest has no entry for its script", {
      hint: "Build it again: `npm run build`.",
    });
  return { script: entry.file, styles: entry.css ?? [] };
}
