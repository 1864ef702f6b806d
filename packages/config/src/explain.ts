import { UnknownSettingError } from "./errors.ts";
import { allKeys, keyAliases } from "./layer.ts";
import type { Candidate, Resolution, Resolved } from "./resolve.ts";
import { settingOfVariable, variableNames } from "./settings.ts";
import { showValue } from "./show.ts";
import { describeSource, type Source } from "./source.ts";
import { suggest } from "./suggestion.ts";

/** A value that lost to another one. */
export interface BeatenValue {
  readonly source: Source;
  /** Redacted. */
  readonly value: string;
}

/** Where the value of one setting came from and what it beat. Plain data without secrets. */
export interface Explanation {
  readonly key: string;
  /** Redacted, in canonical units. */
  readonly value: string;
  readonly source: Source;
  /** Highest precedence first. */
  readonly beaten: readonly BeatenValue[];
  /** Everything that can set it. */
  readonly variables: readonly string[];
  readonly isSecret: boolean;
  readonly expected: string;
  readonly doc: string;
}

/**
 * Explains one setting, named by its key or by a variable.
 * @throws {UnknownSettingError} with the name that was probably meant
 */
export function explainSetting(resolution: Resolution, name: string): Explanation {
  const key = Object.hasOwn(keyAliases, name) ? keyAliases[name]! : (settingOfVariable(name)?.key ?? name);
  const resolved = resolution.get(key);
  if (resolved === undefined) throw new UnknownSettingError(name, suggest(name, [...allKeys, ...variableNames]));
  return explanationOf(resolved);
}

export function explainAll(resolution: Resolution): readonly Explanation[] {
  return [...resolution.values()].map(explanationOf);
}

/** An explanation as text: the value, its source, and below it what it beat. */
export function formatExplanation(explanation: Explanation): string {
  const head = `${explanation.key} = ${explanation.value}   (${describeSource(explanation.source)})`;
  const beaten = explanation.beaten.map(({ value, source }) => `  beat ${value}   (${describeSource(source)})`);
  const set = `  set it by ${[...explanation.variables, `${explanation.key} in a file`].join(", ")}`;
  return [head, ...beaten, `  ${explanation.doc}`, `  must be ${explanation.expected}`, set].join("\n");
}

function explanationOf({ setting, value, source, beaten }: Resolved): Explanation {
  const variables = setting.variables.flatMap(({ name }) => (setting.secret ? [name, `${name}_FILE`] : [name]));
  const libpq = setting.libpq?.variable;
  return {
    key: setting.key,
    value: showValue(setting, value),
    source,
    beaten: beaten.map((candidate) => beatenOf(setting, candidate)),
    variables: libpq === undefined ? variables : [...variables, libpq],
    isSecret: setting.secret === true,
    expected: setting.kind.expected,
    doc: setting.doc,
  };
}

function beatenOf(setting: Resolved["setting"], { source, value, isValid }: Candidate): BeatenValue {
  return { source, value: isValid ? showValue(setting, value) : "a value that cannot be used" };
}
