import { readFile } from "node:fs/promises";
import path from "node:path";
import { writeFileDurably } from "./data-directory.ts";

const fileName = "ports.json";

/** The ports of the last run by cluster name. Without the file, or with a broken one, other ports are taken. */
export async function readPorts(data: string): Promise<Readonly<Record<string, number>>> {
  try {
    const ports = JSON.parse(await readFile(path.join(data, fileName), "utf8")) as Record<string, unknown>;
    const known = Object.entries(ports).filter(([, port]) => Number.isInteger(port) && (port as number) > 1_023);
    return Object.fromEntries(known) as Record<string, number>;
  } catch {
    return {};
  }
}

/** Keeps the ports for the next run. */
export async function writePorts(
  data: string,
  clusters: ReadonlyMap<string, { readonly port: number }>,
): Promise<void> {
  const ports = Object.fromEntries([...clusters].map(([name, cluster]) => [name, cluster.port]));
  await writeFileDurably(path.join(data, fileName), `${JSON.stringify(ports)}\n`);
}
