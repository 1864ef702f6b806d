import { defineConfig, mergeConfig } from "vitest/config";
import base from "./vitest.config.ts";

// The deep tests: version matrix, faults, browser. They may install what they need and take minutes.
const deep = mergeConfig(base, defineConfig({ test: { testTimeout: 600_000, hookTimeout: 600_000, maxWorkers: 1 } }));
deep.test!.include = [
  "packages/*/test/**/*.deep.test.ts",
  "apps/{*,examples/*}/test/**/*.deep.test.ts",
  "tooling/*/test/**/*.deep.test.ts",
];
deep.test!.exclude = ["**/node_modules/**", "**/dist/**"];

export default deep;
