// `npm start`: install, build, then run the main job and serve the dashboard. The first line is out before anything else is read.
process.stdout.write("db toolkit: PostgreSQL in production from TypeScript\n");
const { spawn, spawnSync } = await import("node:child_process");
const { readFileSync } = await import("node:fs");
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

// npm killed outright cannot pass anything on: notice that it is gone, or the shell that it runs scripts with.
const parent = process.ppid;
const npm = parentOfShell(parent);
const watch = setInterval(() => {
  if (child.connected && (process.ppid !== parent || (npm !== undefined && !lives(npm)))) child.disconnect();
}, 300);
watch.unref();
if (process.env.npm_lifecycle_event === undefined) clearInterval(watch);

child.on("error", fail);
child.on("exit", (code, signal) => process.exit(signal ? 1 : code));

// The process above `pid` when `pid` is a shell; where that cannot be told, only the parent is watched.
function parentOfShell(pid) {
  try {
    const line =
      process.platform === "linux"
        ? readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^\d+ \((.*)\) \S+ (\d+)[^]*/, "$2 $1")
        : String(spawnSync("ps", ["-o", "ppid=,comm=", "-p", String(pid)]).stdout);
    const [, above, name] = /^\s*(\d+)\s+(.*?)\s*$/.exec(line);
    return /(^|\/|-)(ba|da|z|k|a)?sh$/.test(name) && Number(above) > 1 ? Number(above) : undefined;
  } catch {
    return undefined;
  }
}

function lives(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
