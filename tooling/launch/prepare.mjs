// Installs and builds a clone, and only what changed since the last time. Plain JavaScript without dependencies:
// it runs on the Node that the machine has (20 or later), before anything is installed.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const pnpmVersion = "12.21.0";
const installStamp = join(root, "node_modules", ".installed");
const bundler = join(root, "tooling", "launch", "bundle.mjs");
const buildStamp = join(root, ".cache", "built");

/** A problem the reader can mend: printed without a stack. */
export class LaunchError extends Error {
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

/** Brings the clone to the state its sources ask for: dependencies installed, packages built. */
export async function prepare({ say = (line) => process.stderr.write(`${line}\n`), build = true } = {}) {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < 20) {
    throw new LaunchError(
      `Node ${process.versions.node} is too old: 20 or later is needed`,
      "Install a current Node from your system or version manager.",
    );
  }
  const installed = readStamp(installStamp) === installHash();
  const sources = build ? sourceHash() : "";
  const built = !build || readStamp(buildStamp) === sources;
  if (installed && built) return;
  requireWritable();
  if (!installed) {
    const seconds = await timed(async () => {
      say("  installing dependencies (first time: about a minute)");
      const { command, args } = pnpmCommand();
      await run(command, [...args, "install", "--frozen-lockfile"], { say, label: "install" });
      writeFileSync(installStamp, installHash());
    });
    say(`  installed in ${seconds} s`);
  }
  if (!built) {
    const seconds = await timed(async () => {
      say("  building packages");
      rmSync(buildStamp, { force: true });
      await run(
        process.execPath,
        [
          join(root, "node_modules", "turbo", "bin", "turbo"),
          "run",
          "build",
          "--output-logs=errors-only",
          "--no-update-notifier",
        ],
        { say, label: "build" },
      );
      mkdirSync(dirname(buildStamp), { recursive: true });
      writeFileSync(buildStamp, sources);
    });
    say(`  built in ${seconds} s`);
  }
}

/** The Node 24 that the workspace brings, whatever the machine's own is. */
export function workspaceNode() {
  const name = process.platform === "win32" ? "node.exe" : "node";
  const bundled = join(root, "node_modules", "node", "bin", name);
  return existsSync(bundled) ? bundled : process.execPath;
}

/** Environment of every child: the workspace's Node and binaries first, tools silent about themselves. */
export function childEnvironment() {
  const bin = join(root, "node_modules", ".bin");
  const separator = process.platform === "win32" ? ";" : ":";
  const env = {
    ...process.env,
    PATH: [dirname(workspaceNode()), bin, process.env.PATH].join(separator),
    TURBO_TELEMETRY_DISABLED: "1",
    DO_NOT_TRACK: "1",
    npm_config_update_notifier: "false",
  };
  // Without a home that can be written, npm and pnpm have nowhere for their caches.
  if (!isWritable(homedir())) {
    env.HOME = join(root, ".cache", "home");
    mkdirSync(env.HOME, { recursive: true });
  }
  return env;
}

/** Prints a launch error as one message with its way out; anything else is a bug and keeps its stack. */
export function fail(error) {
  if (error instanceof LaunchError)
    process.stderr.write(`error: ${error.message}\n${error.hint ? `  ${error.hint}\n` : ""}`);
  else process.stderr.write(`${error?.stack ?? error}\n`);
  process.exit(1);
}

function pnpmCommand() {
  const npm = process.env.npm_execpath;
  // npm's own file name tells whether this runs under npm; pnpm and yarn set the same variable.
  if (npm && /npm-cli\.[cm]?js$/.test(npm))
    return { command: process.execPath, args: [npm, "exec", "--yes", `--package=pnpm@${pnpmVersion}`, "--", "pnpm"] };
  return { command: process.platform === "win32" ? "npx.cmd" : "npx", args: ["--yes", `pnpm@${pnpmVersion}`] };
}

function run(command, args, { say, label }) {
  return new Promise((done, reject) => {
    // CI keeps pnpm from asking questions and from drawing frames.
    const child = spawn(command, args, {
      cwd: root,
      env: { ...childEnvironment(), CI: "true" },
      stdio: ["ignore", "pipe", "pipe"],
      shell: process.platform === "win32",
    });
    const lines = [];
    const keep = (chunk) => {
      lines.push(...String(chunk).split("\n"));
      if (lines.length > 400) lines.splice(0, lines.length - 400);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const started = Date.now();
    const beat = setInterval(
      () => say(`  … ${label} running for ${Math.round((Date.now() - started) / 1000)} s`),
      10_000,
    );
    child.on("error", (error) => {
      clearInterval(beat);
      reject(
        new LaunchError(
          `cannot run ${command}: ${error.message}`,
          "npm and npx come with Node; make sure both are on PATH.",
        ),
      );
    });
    child.on("close", (code, signal) => {
      clearInterval(beat);
      if (code === 0) return done();
      const tail = lines
        .filter((line) => line.trim() !== "" && !line.includes("npm warn"))
        .slice(-25)
        .join("\n");
      reject(
        new LaunchError(
          `${label} failed (${signal ?? `exit code ${code}`})\n${tail}`,
          label === "install"
            ? "Check the connection to your package registry, then run the same command again: it goes on where it stopped."
            : "Run it again; if it fails the same way, `npm run build` shows everything.",
        ),
      );
    });
  });
}

function requireWritable() {
  try {
    const probe = join(root, `.write-probe-${process.pid}`);
    writeFileSync(probe, "");
    rmSync(probe);
  } catch (error) {
    throw new LaunchError(
      `the project folder ${root} cannot be written (${error.code})`,
      "Clone it to a folder that you own, or make this one writable; nothing was changed.",
    );
  }
}

function isWritable(path) {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function installHash() {
  return createHash("sha256")
    .update(readFileSync(join(root, "pnpm-lock.yaml")))
    .update(readFileSync(join(root, "pnpm-workspace.yaml")))
    .update(`${process.platform}-${process.arch}`)
    .digest("hex");
}

function sourceHash() {
  const hash = createHash("sha256").update(installHash()).update(readFileSync(bundler));
  const walk = (directory) => {
    for (const entry of readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (["node_modules", "bundle", "dist", ".turbo", "test", ".cache"].includes(entry.name)) continue;
      const path = join(directory, entry.name);
      // Run as it stands, never built.
      if (path === join(root, "tooling", "launch")) continue;
      // Follows links: a package may be one.
      const stat = statSync(path);
      if (stat.isDirectory()) walk(path);
      else {
        // Relative: a clone that was moved is still built.
        hash.update(`${relative(root, path)}:${stat.size}:${stat.mtimeMs}\n`);
      }
    }
  };
  for (const name of ["packages", "apps", "tooling"]) walk(join(root, name));
  return hash.digest("hex");
}

function readStamp(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

async function timed(work) {
  const started = Date.now();
  await work();
  return ((Date.now() - started) / 1000).toFixed(1);
}
