import { type Queryable, sqlStateOf } from "@db/core";

/** What a driver says of one statement of a script. */
export interface ScriptResult {
  readonly rows: readonly object[];
}

/** How a session answers: which server process it is on, and whether one text may hold several statements. */
export interface SessionNature {
  readonly pid: number;
  /** `pg` sends a text without values as it is, so that a whole script is one round trip; PGlite does not. */
  readonly scripts: boolean;
}

const pidSql = "select pg_backend_pid() as pid";

/** Asks for the server process, and learns from the answer's shape whether scripts are taken. */
export async function readNature(session: Queryable): Promise<SessionNature> {
  try {
    const answer: unknown = await session.query(`${pidSql}; ${pidSql}`);
    if (Array.isArray(answer) && answer.length === 2) return { pid: pidOf(answer[1] as ScriptResult), scripts: true };
  } catch (error) {
    // syntax_error: "cannot insert multiple commands into a prepared statement".
    if (sqlStateOf(error) !== "42601") throw error;
  }
  return { pid: pidOf(await session.query(pidSql)), scripts: false };
}

/** Runs statements in one round trip, on a session that takes scripts. Results are in their order. */
export async function runScript(session: Queryable, statements: readonly string[]): Promise<readonly ScriptResult[]> {
  // On a line of its own, the semicolon is not lost in a comment that ends a statement.
  const answer: unknown = await session.query(statements.join("\n;\n"));
  return Array.isArray(answer) ? (answer as ScriptResult[]) : [answer as ScriptResult];
}

function pidOf({ rows }: ScriptResult): number {
  return (rows[0] as { pid?: number } | undefined)?.pid ?? 0;
}
