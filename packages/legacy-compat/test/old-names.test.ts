import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Config, loadConfig, type Profile, settingsTable } from "@db/config";
import { successors } from "@db/legacy-compat";
import { describe, expect, test } from "vitest";
import { modules, oldNames, type OldNameRow } from "./old-names.ts";

const root = resolve(fileURLToPath(import.meta.url), "../../../..");
const read = (file: string): string => readFileSync(join(root, file), "utf8");

type Kind<K extends OldNameRow["kind"]> = OldNameRow & { readonly kind: K };
const ofKind = <K extends OldNameRow["kind"]>(...kinds: readonly K[]): readonly Kind<K>[] =>
  oldNames.filter((row): row is Kind<K> => (kinds as readonly string[]).includes(row.kind));

describe("the table of old names", () => {
  test("names every export of this package and no other", async () => {
    for (const { name, at } of ofKind("value")) {
      expect(Object.keys((await import(at)) as object), `${name} of ${at}`).toContain(name);
    }
    const listed = new Set(ofKind("value").map(({ name }) => name));
    expect([...listed].toSorted()).toEqual(Object.keys(successors).toSorted());
  });

  test("names types that are exported", () => {
    for (const { name, at } of ofKind("type")) {
      const source = read(join("packages/legacy-compat", modules[at]));
      expect(source, `${name} of ${at}`).toMatch(new RegExp(String.raw`type (?:\{[^}]*\b)?${name}\b|\b${name},`));
    }
  });

  test("names variables as the configuration reads them, with their defaults", async () => {
    const table = settingsTable().split("\n");
    const config = await configOf("production");
    for (const { name, at, default: value } of ofKind("variable")) {
      const line = table.find((each) => each.startsWith(`| \`${at}\``));
      expect(line, `${name} at ${at}`).toContain(`\`${name}\``);
      if (value !== undefined) expect(valueAt(config, at), name).toEqual(value);
    }
  });

  test("names figures, and each has its value", async () => {
    for (const { name, at, value } of ofKind("figure")) {
      for (const [profile, expected] of Object.entries(value)) {
        const found = valueAt(await configOf(profile as Profile), at);
        if (typeof expected === "object") expect(found, `${name} in ${profile}`).toMatchObject(expected as object);
        else expect(found, `${name} in ${profile}`).toBe(expected);
      }
    }
  });

  test("names commands that there are", () => {
    const source = ["commands", "backup-commands", "migration-commands"]
      .map((file) => read(`apps/cli/src/${file}.ts`))
      .join();
    for (const { name, at } of ofKind("script")) {
      expect(source, name).toMatch(new RegExp(String.raw`name: "${at}"|aliases: \[[^\]]*"${at}"`));
    }
  });

  test("names endpoints that the server has", () => {
    const source = ["health-route", "metrics-route", "server"].map((file) => read(`apps/server/src/${file}.ts`)).join();
    for (const { at } of ofKind("endpoint")) expect(source).toContain(`"${at}"`);
  });

  test("names proofs that exist", () => {
    for (const { name, proof } of oldNames) {
      const [file, title] = proof;
      expect(read(file), `${name}: ${file}`).toContain(title);
    }
  });
});

async function configOf(profile: Profile): Promise<Config> {
  return (await loadConfig({ env: { DATABASE_URL: "postgres://a@db.example/a" }, profile, readFiles: false })).config;
}

function valueAt(config: Config, key: string): unknown {
  let value: unknown = config;
  for (const part of key.split(".")) value = (value as Readonly<Record<string, unknown>> | undefined)?.[part];
  return value;
}
