import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// Runs the code of the platforms' own guides, with the import paths and the globals that they had.
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const conditions = ["@db/source"];

export default defineConfig({
  root: here("."),
  resolve: {
    conditions,
    alias: [
      { find: /^@server\//, replacement: here("chanuka/server/") },
      { find: /^@shared\//, replacement: here("chanuka/shared/") },
      { find: /^@\//, replacement: here("learning-assistant/") },
    ],
  },
  ssr: { resolve: { conditions } },
  test: {
    include: ["**/*.guide.ts"],
    exclude: ["**/legacy-compatibility.guide.ts"],
    globals: true,
    pool: "forks",
    maxWorkers: 1,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
