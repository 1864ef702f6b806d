import type { TestCluster } from "@db/testkit";
import { Pool } from "pg";

/** A pool on a database of its own, ended when it is disposed. */
export async function freshPoolOn(
  cluster: Pick<TestCluster, "createDatabase">,
  max = 4,
): Promise<Pool & AsyncDisposable & { readonly url: string }> {
  const { url } = await cluster.createDatabase();
  const pool = new Pool({ connectionString: url, max });
  return Object.assign(pool, { url, [Symbol.asyncDispose]: () => pool.end() });
}
