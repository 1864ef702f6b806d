// `npm test`: installs and builds what is missing, then runs every test that needs nothing but this clone.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { childEnvironment, fail, prepare, root, workspaceNode } from "./prepare.mjs";

try {
  await prepare({ say: (line) => process.stdout.write(`${line}\n`) });
} catch (error) {
  fail(error);
}
const child = spawn(workspaceNode(), [join(root, "node_modules/vitest/vitest.mjs"), "run", ...process.argv.slice(2)], {
  cwd: root,
  env: childEnvironment(),
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("error", fail);
child.on("exit", (code, signal) => process.exit(signal ? 1 : code));
