import { UnsafePathError } from "./errors.ts";

/**
 * Checks a name that came from a server, an archive or a repository before it becomes a path on this machine.
 * @returns the same path with forward slashes, without a leading `./` or a closing slash
 * @throws {UnsafePathError} when it is absolute, empty, holds a drive, a backslash, a zero byte, or a `.` or `..` part
 */
export function safeRelativePath(name: string, where: string): string {
  const path = name.replace(/^(\.\/)+/, "").replace(/\/+$/, "");
  const bad =
    path === "" ||
    path.startsWith("/") ||
    /[\\\0]/.test(path) ||
    /^[A-Za-z]:/.test(path) ||
    path.split("/").some((part) => part === "" || part === "." || part === "..");
  if (bad) {
    throw new UnsafePathError(`${where} names a file outside its directory`, {
      hint: "Do not restore it: the archive was made or changed by something else than PostgreSQL.",
    });
  }
  return path;
}
