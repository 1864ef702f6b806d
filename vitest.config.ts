import { defineConfig } from "vitest/config";

// Tests run from source: the "@db/source" condition resolves every workspace package to its src/.
const conditions = ["@db/source", "node", "import", "default"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: [
      "packages/*/{src,test}/**/*.test.ts",
      "apps/{*,examples/*}/{src,test}/**/*.test.ts",
      "tooling/*/{src,test}/**/*.test.ts",
    ],
    exclude: ["**/node_modules/**", "**/dist/**", "**/*.deep.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
