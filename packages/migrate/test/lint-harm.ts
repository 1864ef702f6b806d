import type { Client } from "pg";
import { observe } from "./observe.ts";

/** What the server must be seen to do where a rule fires, and not where it is silent. */
export type Harm =
  | "rewrite"
  | "scan"
  | "error"
  /** It cannot be run a second time. */
  | "once"
  /** It can, and then there are two. */
  | "twice"
  /** Nothing that this server could show. */
  | "none"
  | { readonly lock: string; readonly on?: string }
  /** A question asked afterwards, and its answer. */
  | { readonly asks: string; readonly answer: unknown }
  /** What the server refuses afterwards. */
  | { readonly refuses: string }
  /** Who has not the right to it. */
  | { readonly deniedTo: string }
  /** The table has fewer indexes than before. */
  | { readonly index: string }
  /** Its rows are hidden from a role with SELECT. */
  | { readonly hides: string }
  /** A row of the last table made is longer. */
  | { readonly rowBytesOver: number }
  /** The server's own notice. */
  | { readonly says: string };

/** One rule: a statement it speaks of, one it does not, and what the server shows of the difference. */
export interface RuleCase {
  readonly rule: string;
  readonly fires: string;
  readonly silent: string;
  readonly harm: Harm;
  /** Not the newest, where a rule speaks of one version only. */
  readonly serverVersion?: number;
}

/** Whether the server shows the harm for `sql`; what it did is rolled back. */
export async function isHarmed(client: Client, sql: string, harm: Exclude<Harm, "none">): Promise<boolean> {
  if (harm === "error") return (await refusalOf(() => observe(client, sql))) !== null;
  if (harm === "once" || harm === "twice") return (await failsAgain(client, sql)) === (harm === "once");
  if (typeof harm !== "object" || "lock" in harm) {
    const seen = await observe(client, sql);
    if (harm === "rewrite") return seen.rewrites.length > 0;
    if (harm === "scan") return seen.scans.length > 0;
    return seen.locks[harm.on ?? "public.t"] === harm.lock;
  }
  if ("asks" in harm) return (await answerAfter(client, sql, harm.asks)) === harm.answer;
  if ("refuses" in harm) {
    await answerAfter(client, sql, "select 1 as answer");
    return (await refusalOf(() => answerAfter(client, sql, harm.refuses))) !== null;
  }
  if ("deniedTo" in harm) {
    const asked = `set local role ${harm.deniedTo}; ${sql}`;
    return (await refusalOf(() => answerAfter(client, asked, "select 1 as answer"))) === "42501";
  }
  if ("index" in harm) {
    const count = `select count(*)::int as answer from pg_index where indrelid = '${harm.index}'::regclass`;
    return Number(await answerAfter(client, sql, count)) < Number(await answerAfter(client, "select 1", count));
  }
  if ("hides" in harm) {
    const asked = `${sql}; grant select on ${harm.hides} to lint_reader; set local role lint_reader`;
    return (await answerAfter(client, asked, `select count(*)::int as answer from ${harm.hides}`)) === 0;
  }
  if ("rowBytesOver" in harm) {
    const made = `${sql}; insert into fresh (a, b, c, d, e, f) values (true, 1, true, 1, true, 1)`;
    const bytes = await answerAfter(client, made, "select pg_column_size(fresh.*) as answer from fresh");
    return Number(bytes) > harm.rowBytesOver;
  }
  return (await noticesOf(client, sql)).includes(harm.says);
}

async function answerAfter(client: Client, sql: string, question: string): Promise<unknown> {
  await client.query("begin");
  try {
    await client.query(sql);
    const { rows } = await client.query<{ answer: unknown }>(question);
    return rows[0]?.answer;
  } finally {
    await client.query("rollback");
  }
}

/** The SQLSTATE of what the server says against it; null when it says nothing. */
async function refusalOf(run: () => Promise<unknown>): Promise<string | null> {
  try {
    await run();
    return null;
  } catch (error) {
    if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
    throw error;
  }
}

async function failsAgain(client: Client, sql: string): Promise<boolean> {
  try {
    await client.query(sql);
    return (await refusalOf(() => client.query(sql))) !== null;
  } finally {
    await client.query("drop index if exists t_more, t_n_idx, t_n_idx1");
  }
}

async function noticesOf(client: Client, sql: string): Promise<string> {
  const said: string[] = [];
  const listen = ({ message = "" }: { message?: string | undefined }): void => void said.push(message);
  client.on("notice", listen);
  await answerAfter(client, sql, "select 1 as answer");
  client.off("notice", listen);
  return said.join("\n");
}
