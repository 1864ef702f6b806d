import { defineConfig } from "vitest/config";

// Tests run from source: the "@db/source" condition resolves every workspace package to its src/.
// The standard conditions are not listed: named here they would reach require() too and break packages such as pg.
const conditions = ["@db/source"];

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
    expect: { poll: { timeout: 30_000 } },
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
