// `npm run -s db -- <args>`: the command line from the clone's build. npm puts the workspace's Node first on PATH.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "./prepare.mjs";

if (Number(process.versions.node.split(".")[0]) < 22 || !existsSync(join(root, "apps/cli/bundle/main.js"))) {
  process.stderr.write("error: this clone is not built yet\n  Run `npm run setup` first.\n");
  process.exit(2);
}
await import("../../apps/cli/bin/db.js");
