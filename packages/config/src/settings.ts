import { choice } from "./kind.ts";
import { profileAliases, profiles } from "./profile.ts";
import type { Setting } from "./setting.ts";
import { backupSettings } from "./settings/backup.ts";
import { careSettings } from "./settings/care.ts";
import { connectionSettings } from "./settings/connection.ts";
import { outsideSettings } from "./settings/outside.ts";
import { poolSettings } from "./settings/pool.ts";

const profileSetting: Setting = {
  key: "profile",
  kind: choice(profiles, profileAliases),
  variables: [{ name: "DB_PROFILE" }, { name: "NODE_ENV" }],
  default: "development",
  doc: "Chooses the defaults. `NODE_ENV` counts only where `DB_PROFILE` is not set.",
  example: "production",
};

/**
 * Everything that can be configured, in one frozen table. The table in the README, the JSON Schema and `explain` are
 * made from it.
 */
export const settings: readonly Setting[] = Object.freeze(
  [
    profileSetting,
    ...connectionSettings,
    ...poolSettings,
    ...careSettings.filter(({ key }) => key.startsWith("migrate.")),
    ...backupSettings,
    ...careSettings.filter(({ key }) => !key.startsWith("migrate.")),
    ...outsideSettings,
  ].map((setting) => Object.freeze(setting)),
);

const byKey = new Map(settings.map((setting) => [setting.key, setting]));

export function settingOf(key: string): Setting | undefined {
  return byKey.get(key);
}

const byVariable = new Map(
  settings.flatMap((setting) => [
    ...setting.variables.map(({ name }) => [name, setting] as const),
    ...(setting.libpq?.variable === undefined ? [] : [[setting.libpq.variable, setting] as const]),
  ]),
);

/** The setting that an environment variable sets, also by its `_FILE` form. */
export function settingOfVariable(name: string): Setting | undefined {
  const direct = byVariable.get(name);
  if (direct !== undefined) return direct;
  const stripped = name.endsWith("_FILE") ? byVariable.get(name.slice(0, -"_FILE".length)) : undefined;
  return stripped?.secret === true ? stripped : undefined;
}

/** Every variable there is, with the `_FILE` form of secrets. */
export const variableNames: readonly string[] = Object.freeze(
  settings.flatMap(({ variables, libpq, secret }) => {
    const names = variables.flatMap(({ name }) => (secret === true ? [name, `${name}_FILE`] : [name]));
    return libpq?.variable === undefined ? names : names.concat(libpq.variable);
  }),
);
