import { createHash } from "node:crypto";
import type pg from "pg";
import type { Connection } from "./connection.ts";
import type { StatementProfile } from "./statement-profile.ts";
import type { Statement } from "./statement.ts";

/** When statements are prepared by themselves. */
export interface PrepareOptions {
  /** A statement is prepared from this use on. Default 2. */
  readonly after?: number;
  /** Most statements the pool keeps prepared on one connection; the least recently used goes first. Default 256. */
  readonly maxPerConnection?: number;
}

type Config = pg.QueryConfig<unknown[]>;

/** After this many stale plans something between us and the server forgets or mixes up statements. */
const mostRevisions = 3;

/** The name the pool gives a statement, so that the server parses and plans it once per connection. */
export function ownName(
  { config }: Statement,
  profile: StatementProfile,
  { after }: Required<PrepareOptions>,
): string | undefined {
  if (profile.uses < after || !profile.single || profile.unpreparable) return undefined;
  if (typeof config === "object" && (config.name !== undefined || hasUnknownKeys(config))) return undefined;
  return (profile.preparedName ??= nameOf(profile));
}

/** The same statement under a name. */
export function named(statement: Statement, name: string): Statement {
  const { config } = statement;
  return {
    ...statement,
    config: typeof config === "string" ? { text: config, name } : { ...(config as Config), name },
  };
}

/**
 * Notes that a connection is about to run a statement prepared by the pool, and makes room for it. What is closed here
 * is closed together with the statement's own messages, without a round trip.
 */
export function makeRoom(connection: Connection, name: string, text: string, maxPerConnection: number): void {
  const { statements } = connection;
  statements.use(name, text, true);
  for (const surplus of statements.takeSurplus(maxPerConnection)) connection.closePrepared(surplus.name);
}

/** Gives a statement whose plan went stale a new name, or none any more when that keeps happening. */
export function revise(profile: StatementProfile, staleName: string): void {
  // Several may have been under way when the first of them found out.
  if (profile.preparedName !== staleName) return;
  profile.revision += 1;
  profile.preparedName = undefined;
  if (profile.revision >= mostRevisions) profile.unpreparable = true;
}

/** Equal for equal text, so that connections shared behind a pooler agree; short enough never to be cut. */
function nameOf({ text, epoch, revision }: StatementProfile): string {
  return `db_${createHash("sha1").update(text).digest("base64url").slice(0, 20)}_${epoch}_${revision}`;
}

const knownKeys: ReadonlySet<string> = new Set(["text", "values", "types", "rowMode", "name"]);

/** Query builders pass objects of their own; what else they carry may change how pg runs them. */
export function hasUnknownKeys(config: object): boolean {
  for (const key in config) if (!knownKeys.has(key)) return true;
  return false;
}
