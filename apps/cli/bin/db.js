#!/usr/bin/env node
const [, , group, verb] = process.argv;
const isWal = group === "wal" && (verb === "push" || verb === "fetch");
let answered = false;
// To a server that recovers, 1 says "no such WAL" and ends recovery; a crash of this program must stop it instead.
if (isWal && verb === "fetch") {
  process.on("exit", () => {
    if (!answered) process.exitCode = 255;
  });
}
// zlib has zstd since this version; older ones end in a message about a missing export.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 15)) {
  process.stderr.write(`error: Node ${process.versions.node} is too old for db: 22.15 or later is needed\n`);
  process.exit(2);
}
// What was compiled once is read back at the next start.
const { enableCompileCache } = await import("node:module");
enableCompileCache();
await import(isWal ? "../bundle/wal-main.js" : "../bundle/main.js");
answered = true;
