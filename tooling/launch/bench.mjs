// `npm run -s bench -- <name> [--quick] --json`: one benchmark from source, with nothing but its result on stdout.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment, root, workspaceNode } from "./prepare.mjs";

if (!existsSync(join(root, "node_modules/node"))) {
  process.stderr.write("error: this clone is not installed yet\n  Run `npm run setup` first.\n");
  process.exit(2);
}
const { status } = spawnSync(
  workspaceNode(),
  ["--conditions=@db/source", join(root, "tooling/bench/src/main.ts"), ...process.argv.slice(2)],
  { env: childEnvironment(), stdio: "inherit" },
);
process.exit(status ?? 1);
