// `node tooling/launch/bundle.mjs [folder…]`: puts what tsc compiled of a package into one file for each thing it
// exports, and one for each part it loads later. A process that starts pays for every file it opens; types and tests
// are not concerned. Without a folder: the package this runs in. With --all: every package that has a bundle.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { prepare, root } from "./prepare.mjs";

// What a manifest does not say.
const wishes = {
  "@db/cli": { entries: ["./bundle/main.js", "./bundle/wal-main.js"], inline: [] },
  // Of its ninety files a few lines are used.
  "@db/config": { entries: [], inline: ["zod"] },
  "@db/pool": { entries: [], inline: ["is-network-error", "opossum", "p-retry"] },
};

const given = process.argv.slice(2);
const folders = given.includes("--all") ? bundledFolders() : given.length > 0 ? given : [process.cwd()];
// A clone brought up to date may lack what this needs.
if (given.includes("--all")) await prepare({ build: false });
const { rolldown } = await import("rolldown");
for (const folder of folders) await bundle(resolve(folder));

async function bundle(folder) {
  const manifest = readManifest(folder);
  const entries = entriesOf(manifest).map((file) => ({
    name: file.slice("./bundle/".length, -".js".length),
    file: join(folder, file.replace("./bundle/", "./dist/")),
  }));
  const inline = wishes[manifest.name]?.inline ?? [];
  const bundled = await rolldown({
    cwd: folder,
    input: Object.fromEntries(entries.map(({ name, file }) => [name, file])),
    platform: "node",
    checks: { ineffectiveDynamicImport: false },
    // Other packages stay what they are, each loaded once however many want it.
    external: (id) => !id.startsWith(".") && !isAbsolute(id) && !inline.includes(packageOf(id)),
  });
  rmSync(join(folder, "bundle"), { recursive: true, force: true });
  const { output } = await bundled.write({
    dir: join(folder, "bundle"),
    format: "esm",
    chunkFileNames: "[name].js",
    // Names of classes are told to people: they stay what the source says.
    keepNames: true,
    // What an entry needs at once stands in one file beside it, though parts loaded later need some of it too: not in
    // the entry's own file, which may wait for those parts. The last of the exports is the smallest, and goes first.
    codeSplitting: {
      groups: entries.map(({ name, file }, index) => {
        const needed = importsOf(file);
        return { name: `${name}-start`, test: (id) => needed.has(id), priority: index + 1 };
      }),
    },
  });
  await bundled.close();
  const notices = noticesOf(output.flatMap(({ moduleIds = [] }) => moduleIds));
  if (notices !== "") writeFileSync(join(folder, "bundle", "THIRD-PARTY-NOTICES.txt"), notices);
}

/** What others' code in a bundle asks to be given along with it: each package's name, version and licence. */
function noticesOf(files) {
  const homes = new Set(files.flatMap((file) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []));
  const notices = [...homes]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((home) => {
      const { name, version, license } = readManifest(home);
      const file = readdirSync(home).find((each) => /^licen[cs]e/i.test(each));
      if (file === undefined) throw new Error(`${name} is put into a bundle and has no licence file`);
      return `${name} ${version} (${license})\n\n${readFileSync(join(home, file), "utf8").trim()}\n`;
    });
  return notices.join(`\n${"-".repeat(80)}\n\n`);
}

/** `./bundle/x.js` is made from `./dist/x.js`. */
function entriesOf({ name, exports = {} }) {
  const files = Object.values(exports).map((target) => (typeof target === "string" ? target : target.default));
  return [...files.filter((file) => file?.startsWith("./bundle/")), ...(wishes[name]?.entries ?? [])];
}

/** The files that a compiled file imports at once. */
function importsOf(file) {
  const found = readFileSync(file, "utf8").matchAll(/^(?:import|export)\b[^;"]*"(\.[^"]+)"/gm);
  return new Set([...found].map(([, path]) => resolve(dirname(file), path)));
}

function packageOf(id) {
  return id
    .split("/")
    .slice(0, id.startsWith("@") ? 2 : 1)
    .join("/");
}

function bundledFolders() {
  return ["packages", "apps"]
    .flatMap((group) => readdirSync(join(root, group)).map((name) => join(root, group, name)))
    .filter((folder) => existsSync(join(folder, "package.json")) && entriesOf(readManifest(folder)).length > 0);
}

function readManifest(folder) {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
}
