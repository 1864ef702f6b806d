import { createHash } from "node:crypto";
import { access, chmod, mkdtemp, rename, rm } from "node:fs/promises";
import path from "node:path";
import { type Binaries, createCluster, createSlotSql, sharedDirectory, type Account } from "@db/embedded";

/** The password of every test server's superuser. */
export const testPassword = "postgres";

/**
 * A data directory made once per server version and kept on this machine: a test cluster is a copy of it, which takes
 * hundredths of a second where initdb takes most of one. Made beside its place and renamed into it, so that two makers
 * cannot harm each other.
 */
export async function preparedData(
  binaries: Binaries,
  account: Account | undefined,
  shape: { readonly slots: readonly string[]; readonly initdbArguments: readonly string[] },
): Promise<string> {
  const identity = JSON.stringify([3, binaries.version, account?.uid ?? null, shape]);
  const key = `${binaries.major}-${createHash("sha256").update(identity).digest("hex").slice(0, 12)}`;
  const shared = await sharedDirectory("templates", account);
  const home = path.join(shared, key);
  if (!(await exists(home))) {
    const temporary = await mkdtemp(path.join(shared, ".make-"));
    await chmod(temporary, 0o755);
    const directory = path.join(temporary, "cluster");
    try {
      const cluster = await createCluster({
        directory,
        binaries,
        password: testPassword,
        durable: false,
        initdbArguments: shape.initdbArguments,
        ...(account === undefined ? {} : { account: account.name }),
      });
      if (shape.slots.length > 0) await cluster.runOffline(shape.slots.map(createSlotSql));
      await rename(directory, home).catch(async (error) => {
        if (!(await exists(home))) throw error;
      });
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  }
  return path.join(home, "data");
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
