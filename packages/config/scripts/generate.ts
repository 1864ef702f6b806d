// Writes what is made from the table of settings: schema.json and the table in the README.
import { readFileSync, writeFileSync } from "node:fs";
import { configJsonSchema, settingsTable } from "../src/index.ts";

const at = (name: string): URL => new URL(`../${name}`, import.meta.url);

writeFileSync(at("schema.json"), `${JSON.stringify(configJsonSchema(), undefined, 2)}\n`);
const readme = readFileSync(at("README.md"), "utf8");
const [before, after] = [readme.split("<!-- settings -->")[0]!, readme.split("<!-- /settings -->")[1]!];
writeFileSync(at("README.md"), `${before}<!-- settings -->\n\n${settingsTable()}\n\n<!-- /settings -->${after}`);
