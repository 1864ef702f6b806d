import type { Finding } from "@db/core";
import type { VariableSource } from "./layer.ts";
import { settingOfVariable, variableNames } from "./settings.ts";
import { suggest } from "./suggestion.ts";

const ours = /^(DB|BACKUP|NOTIFICATION|CLOUD_STORAGE)_[A-Z0-9_]+$/;

/**
 * A finding for each variable that looks like ours and sets nothing: a slip of the pen would otherwise pass in
 * silence. Not fatal, for the prefix is not reserved to this toolkit. `known` are names that the caller reads.
 */
export function findUnknownVariables(sources: readonly VariableSource[], known: readonly string[]): readonly Finding[] {
  const names = new Set(sources.flatMap((source) => source.names().filter((name) => source.get(name) !== undefined)));
  return [...names]
    .filter((name) => ours.test(name) && settingOfVariable(name) === undefined && !known.includes(name))
    .toSorted()
    .map((name) => {
      const meant = suggest(name, [...variableNames, ...known]);
      return {
        id: "CONFIG-UNKNOWN-VARIABLE",
        severity: "warn",
        title: `${name} is not a variable of this toolkit and sets nothing`,
        subject: name,
        hint: meant === undefined ? "Remove it, or correct its name." : `Did you mean ${meant}?`,
      } as const;
    });
}
