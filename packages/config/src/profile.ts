/** The four kinds of place a database runs in; each has its own defaults. */
export const profiles: readonly ["development", "test", "staging", "production"] = Object.freeze([
  "development",
  "test",
  "staging",
  "production",
] as const);

export type Profile = (typeof profiles)[number];

/** Short forms that people write. */
export const profileAliases: Readonly<Record<string, Profile>> = Object.freeze({
  dev: "development",
  local: "development",
  testing: "test",
  stage: "staging",
  prod: "production",
});

/** The profile that a text names, or `undefined`. */
export function readProfile(text: string): Profile | undefined {
  const word = text.trim().toLowerCase();
  return (
    profiles.find((profile) => profile === word) ??
    (Object.hasOwn(profileAliases, word) ? profileAliases[word] : undefined)
  );
}
