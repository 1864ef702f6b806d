#!/usr/bin/env node
// zlib has zstd since this version; older ones end in a message about a missing export.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 15)) {
  process.stderr.write(`error: Node ${process.versions.node} is too old for db: 22.15 or later is needed\n`);
  process.exit(2);
}
await import("../dist/main.js");
