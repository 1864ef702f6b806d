// Run as a process of its own by the benchmark "migrate-noop": <tool> <url> <directory>.
import { migrationTools } from "./migration-tool.ts";

const [name, url = "", directory = ""] = process.argv.slice(2);
const tool = migrationTools.find((each) => each.name === name);
if (tool === undefined) throw new Error(`no migration tool is called "${name}"`);
await tool.run(url, directory);
