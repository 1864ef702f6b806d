// Type-checks every TypeScript example of every README, as a module of its own, against the built packages. A block that
// shows a part of something is marked "ts fragment" and left out.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { childEnvironment, root, workspaceNode } from "./prepare.mjs";

const readmes = [join(root, "README.md")];
for (const group of ["packages", "apps", "apps/examples", "tooling"]) {
  for (const entry of readdirSync(join(root, group), { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name === "examples" || entry.name === "docs") continue;
    readmes.push(join(root, group, entry.name, "README.md"));
  }
}
// Beside the package, so that its own dependencies resolve; the root's README borrows the orchestrator's.
const made = [];
let count = 0;
try {
  for (const readme of readmes) {
    if (!existsSync(readme)) continue;
    const text = readFileSync(readme, "utf8");
    const home = dirname(readme) === root ? join(root, "packages/orchestrator") : dirname(readme);
    const folder = join(home, "dist", "readme");
    const blocks = [...text.matchAll(/```ts\n([\s\S]*?)```/g)];
    if (blocks.length === 0) continue;
    mkdirSync(folder, { recursive: true });
    made.push(folder);
    for (const [index, [, code]] of blocks.entries()) {
      writeFileSync(
        join(folder, `${relative(root, dirname(readme)).replaceAll("/", "-") || "root"}-${index + 1}.ts`),
        `${code}\nexport {};\n`,
      );
      count += 1;
    }
  }
  const config = join(root, ".cache", "readme.tsconfig.json");
  mkdirSync(dirname(config), { recursive: true });
  writeFileSync(
    config,
    JSON.stringify({
      extends: "../tsconfig.base.json",
      compilerOptions: {
        composite: false,
        noEmit: true,
        declaration: false,
        declarationMap: false,
        isolatedDeclarations: false,
        noUnusedLocals: false,
        rewriteRelativeImportExtensions: false,
        allowImportingTsExtensions: true,
        typeRoots: ["../node_modules/@types"],
        lib: ["es2024", "dom", "esnext.disposable", "esnext.array", "esnext.collection", "esnext.iterator"],
      },
      files: made.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name))),
    }),
  );
  const { status, stdout } = spawnSync(workspaceNode(), [join(root, "node_modules/typescript/bin/tsc"), "-p", config], {
    cwd: root,
    env: childEnvironment(),
    encoding: "utf8",
  });
  process.stdout.write(stdout);
  if (status === 0) process.stdout.write(`${count} examples of ${made.length} readmes hold\n`);
  process.exitCode = status ?? 1;
} finally {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
}
