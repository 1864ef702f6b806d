import { z } from "zod";
import { groupsThatMayBeOff, keyAliases } from "./layer.ts";
import type { Setting } from "./setting.ts";
import { settingOf, settings } from "./settings.ts";
import { showValue } from "./show.ts";

type Tree = Map<string, Tree | Setting>;

/** The JSON Schema (2020-12) of a configuration file, generated from the settings. */
export function configJsonSchema(): Record<string, unknown> {
  const tree: Tree = new Map();
  for (const setting of settings) put(tree, setting.key.split("."), setting);
  for (const [alias, key] of Object.entries(keyAliases)) put(tree, alias.split("."), settingOf(key)!);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Configuration of the db toolkit",
    description: "db.config.json, the db key of package.json, or the user's config.json",
    ...objectSchema(tree, ""),
  };
}

function put(tree: Tree, [name, ...rest]: readonly string[], setting: Setting): void {
  if (name === undefined) return;
  if (rest.length === 0) {
    tree.set(name, setting);
    return;
  }
  const inner = tree.get(name);
  const group: Tree = inner instanceof Map ? inner : new Map();
  tree.set(name, group);
  put(group, rest, setting);
}

function objectSchema(tree: Tree, at: string): Record<string, unknown> {
  const properties: Record<string, unknown> = at === "" ? { $schema: { type: "string" } } : {};
  for (const [name, inner] of tree) {
    const path = at === "" ? name : `${at}.${name}`;
    properties[name] = inner instanceof Map ? groupSchema(inner, path) : settingSchema(inner);
  }
  return { type: "object", properties, additionalProperties: false };
}

function groupSchema(tree: Tree, path: string): Record<string, unknown> {
  const schema = objectSchema(tree, path);
  return groupsThatMayBeOff.includes(path) ? { anyOf: [{ const: false }, schema] } : schema;
}

function settingSchema(setting: Setting): Record<string, unknown> {
  const { $schema: _, ...schema } = z.toJSONSchema(setting.kind.schema(), { io: "input", unrepresentable: "any" });
  const standard = setting.default;
  return {
    description: setting.doc,
    ...tidy(schema as Record<string, unknown>),
    ...(standard === undefined || standard === Number.POSITIVE_INFINITY ? {} : { default: standard }),
    ...(setting.profiles === undefined ? {} : { $comment: profileComment(setting) }),
    ...(setting.secret === true ? { writeOnly: true } : {}),
  };
}

/** JSON has no Infinity: that alternative exists only in a module. */
function tidy(schema: Record<string, unknown>): Record<string, unknown> {
  const { anyOf } = schema;
  if (!Array.isArray(anyOf)) return schema;
  const kept = anyOf.filter((each) => (each as { const?: unknown }).const !== Number.POSITIVE_INFINITY);
  return { ...schema, anyOf: kept.map((each) => tidy(each as Record<string, unknown>)) };
}

function profileComment(setting: Setting): string {
  const parts = Object.entries(setting.profiles ?? {}).map(
    ([profile, value]) => `${profile}: ${showValue(setting, value)}`,
  );
  return `default by profile: ${parts.join(", ")}`;
}
