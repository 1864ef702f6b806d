// `npm start`: install, build, then run the main job and serve the dashboard. The first line is out before anything else is read.
process.stdout.write("db toolkit: PostgreSQL in production from TypeScript\n");
const { spawn } = await import("node:child_process");
const path = await import("node:path");
const { childEnvironment, fail, prepare, root, workspaceNode } = await import("./prepare.mjs");

try {
  await prepare({ say: (line) => process.stdout.write(`${line}\n`) });
} catch (error) {
  fail(error);
}

// The child has an own channel to this process: when this one is gone, however it went, the child stops by itself.
const child = spawn(
  workspaceNode(),
  [path.join(root, "apps/cli/bin/db.js"), "start", "--example", "apps/examples/chanuka", ...process.argv.slice(2)],
  {
    cwd: root,
    env: { ...childEnvironment(), INIT_CWD: root },
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  },
);
// A terminal sends Ctrl-C to the whole group; anyone else may signal only this process.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
  process.on(signal, () => child.connected && child.send({ signal }));

// npm killed outright cannot pass anything on: notice that the parent is another one now.
const parent = process.ppid;
const watch = setInterval(() => {
  if (process.ppid !== parent && child.connected) child.disconnect();
}, 500);
watch.unref();
if (process.env.npm_lifecycle_event === undefined) clearInterval(watch);

child.on("error", fail);
child.on("exit", (code, signal) => process.exit(signal ? 1 : code));
