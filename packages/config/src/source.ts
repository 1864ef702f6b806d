/** How near to the one who runs the program a value was set. */
export type Level =
  | "flag"
  | "environment"
  | ".env.<profile>"
  | ".env"
  | "file"
  | "user file"
  | "libpq"
  | "profile default"
  | "default";

/** Where a value can come from, highest precedence first. This order is the documented one. */
export const levels: readonly Level[] = Object.freeze([
  "flag",
  "environment",
  ".env.<profile>",
  ".env",
  "file",
  "user file",
  "libpq",
  "profile default",
  "default",
]);

/** Where one value came from. */
export interface Source {
  readonly level: Level;
  /** The variable, the key in a file, or the part of a URL: `DATABASE_URL (port)`. */
  readonly name: string;
  /** The file, with the line where it is known. */
  readonly location?: string;
}

/** `DB_PORT in /srv/app/.env:3`, `pool.max in db.config.json`, `the default for production`. */
export function describeSource(source: Source): string {
  if (source.level === "default" || source.level === "profile default") return source.name;
  return `${source.name} in ${source.location ?? `the ${source.level}`}`.replace("in the flag", "given as a flag");
}
