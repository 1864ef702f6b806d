import type { Finding } from "@db/core";
import type { Layer } from "./layer.ts";
import { type Profile, readProfile } from "./profile.ts";
import { type Candidate, candidatesOf, type ProblemList, refusal, type Resolved } from "./resolve.ts";
import { settingOf } from "./settings.ts";

/** The profile with its reasons. */
export interface ProfileChoice {
  readonly profile: Profile;
  readonly resolved: Resolved;
  readonly warnings: readonly Finding[];
}

/**
 * Chooses the profile: what the caller asked for, then `DB_PROFILE`, then `NODE_ENV`, then a file. A value that
 * cannot be read is a problem, except in `NODE_ENV`, which belongs to others: there it is passed over with a warning.
 */
export function chooseProfile(
  layers: readonly Layer[],
  asked: Profile | undefined,
  problems: ProblemList,
): ProfileChoice {
  const setting = settingOf("profile")!;
  const found = candidatesOf(setting, layers).flat();
  const ranked: readonly Candidate[] = [
    ...(asked === undefined ? [] : [given(asked, "flag", "profile")]),
    ...found.toSorted((a, b) => rank(a) - rank(b)),
    given("development", "default", "the default"),
  ];
  const chosen = ranked.find((candidate) => candidate.isValid || candidate.source.name !== "NODE_ENV")!;
  if (!chosen.isValid) problems.add(refusal(setting, chosen, new Set()));
  const profile = chosen.isValid ? readProfile(String(chosen.value))! : "development";
  const resolved = {
    setting,
    value: profile,
    source: chosen.source,
    isGiven: chosen.source.level !== "default",
    beaten: ranked.filter((candidate) => candidate !== chosen),
  };
  const warnings = ranked.slice(0, ranked.indexOf(chosen)).map(({ source }) => ({
    id: "CONFIG-NODE-ENV",
    severity: "warn" as const,
    title: `NODE_ENV names no profile; ${profile} is taken`,
    subject: source.name,
    hint: `Set DB_PROFILE to ${setting.kind.expected}.`,
  }));
  return { profile, resolved, warnings };
}

function rank({ source }: Candidate): number {
  if (source.level === "flag") return 0;
  if (source.name === "DB_PROFILE") return 1;
  return source.name === "NODE_ENV" ? 2 : 3;
}

/** The caller may pass on a text of a person: its type is no proof. */
function given(profile: string, level: "flag" | "default", name: string): Candidate {
  const value = readProfile(profile);
  const entry = { name, raw: profile, isText: false };
  return { entry, source: { level, name }, value, isValid: value !== undefined };
}
