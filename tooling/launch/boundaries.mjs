// Checks who may import whom, then proves that the check still bites: the same rules must refuse a seeded violation
// (a feature importing a sibling, and a feature starting a cluster itself).
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment, root, workspaceNode } from "./prepare.mjs";

const turbo = join(root, "node_modules/turbo/bin/turbo");
const oxlint = join(root, "node_modules/oxlint/bin/oxlint");
const run = (cwd, script, args) =>
  spawnSync(workspaceNode(), [script, ...args], { cwd, env: childEnvironment(), encoding: "utf8" });

const clean = run(root, turbo, ["boundaries"]);
if (clean.status !== 0) {
  process.stderr.write(clean.stdout + clean.stderr);
  process.exit(1);
}

const copy = mkdtempSync(join(tmpdir(), "boundaries-"));
try {
  const skip = /(^|\/)(node_modules|bundle|dist|\.git|\.db|\.turbo|\.cache)(\/|$)/;
  cpSync(root, copy, { recursive: true, filter: (source) => !skip.test(source.slice(root.length)) });
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  const manifest = join(copy, "packages/validate/package.json");
  const content = JSON.parse(readFileSync(manifest, "utf8"));
  content.dependencies["@db/monitor"] = "workspace:^";
  writeFileSync(manifest, JSON.stringify(content));
  writeFileSync(join(copy, "packages/validate/src/seeded.ts"), 'import "@db/embedded";\nexport {};\n');
  const sibling = run(copy, turbo, ["boundaries"]);
  const cluster = run(copy, oxlint, ["packages/validate/src/seeded.ts"]);
  if (sibling.status === 0 || cluster.status === 0) {
    process.stderr.write(
      `the boundary check no longer bites: sibling import ${sibling.status === 0 ? "passed" : "refused"}, cluster import ${cluster.status === 0 ? "passed" : "refused"}\n`,
    );
    process.exit(1);
  }
  process.stdout.write("boundaries hold, and the seeded violations are refused\n");
} finally {
  rmSync(copy, { recursive: true, force: true });
}
