import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { promisify } from "node:util";
import { AccountError } from "./errors.ts";

const run = promisify(execFile);

/** The system account a server runs as. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The account to run servers as: undefined means the account of this process. PostgreSQL refuses to run as root, so
 * root gives way to `wanted`, else to `postgres`, else to `nobody`.
 * @throws {AccountError} when this process is root and there is no such account
 */
export async function serverAccount(wanted?: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const names = wanted === undefined ? ["postgres", "nobody"] : [wanted];
  for (const name of names) {
    const account = (await fromPasswd(name)) ?? (await fromId(name));
    if (account !== undefined && account.uid !== 0) return account;
  }
  throw new AccountError(`PostgreSQL refuses to run as root and there is no account named ${names.join(" or ")}`, {
    hint: "Name an account other than root for the server, or run as a user.",
  });
}

/**
 * The account for the servers of a directory: root finds one that belongs to a user and runs its servers as that user,
 * so that the user can go on with it.
 */
export async function accountFor(directory: string, fallback: Account | undefined): Promise<Account | undefined> {
  if (fallback === undefined) return undefined;
  const about = await stat(directory).catch(() => undefined);
  if (about === undefined || about.uid === 0 || about.uid === fallback.uid) return fallback;
  return { name: `uid ${about.uid}`, uid: about.uid, gid: about.gid };
}

async function fromPasswd(name: string): Promise<Account | undefined> {
  const text = await readFile("/etc/passwd", "utf8").catch(() => "");
  for (const line of text.split("\n")) {
    const [found, , uid, gid] = line.split(":");
    if (found === name && uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

// Accounts of a directory service (macOS, LDAP) are not in /etc/passwd.
async function fromId(name: string): Promise<Account | undefined> {
  try {
    const [uid, gid] = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]);
    return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return undefined;
  }
}
