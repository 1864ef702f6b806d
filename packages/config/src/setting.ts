import type { Kind, Unit } from "./kind.ts";
import type { Profile } from "./profile.ts";

/** An environment variable that sets a setting. */
export interface Variable {
  readonly name: string;
  /** The unit of a bare number. Without one, a duration must be written with its unit. */
  readonly unit?: Unit;
}

/** One thing that can be configured: the single description from which everything else is made. */
export interface Setting {
  /** Dotted path in a configuration file, and the argument of `explain`. */
  readonly key: string;
  readonly kind: Kind;
  /** Spellings, the preferred one first. Two that are set on one level must agree. */
  readonly variables: readonly Variable[];
  /** How libpq spells it. */
  readonly libpq?: {
    readonly variable?: string;
    /** In service files and in the query of a URL. */
    readonly keyword?: string;
    readonly unit?: Unit;
  };
  /** Other names in the query of a URL, as Prisma writes them. */
  readonly urlParameters?: readonly Variable[];
  /** In canonical form. A function sees what is resolved before it. */
  readonly default?: unknown;
  /** Defaults that differ by profile. */
  readonly profiles?: Readonly<Partial<Record<Profile, unknown>>>;
  /** Fits a default (never a given value) to settings resolved before it. */
  readonly adjustDefault?: (value: unknown, get: (key: string) => unknown) => unknown;
  /** How the default reads in the documentation, where it is not a plain value. */
  readonly defaultText?: string;
  /** Never shown, and may come from a file named by `<VARIABLE>_FILE`. */
  readonly secret?: true;
  readonly doc: string;
  /** As the text of a variable. */
  readonly example: string;
}

/** The variable to name when a setting has to be given. */
export function nameOf(setting: Setting): string {
  return setting.variables[0]?.name ?? setting.libpq?.variable ?? setting.key;
}
