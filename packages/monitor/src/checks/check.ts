import type { Finding } from "@db/core";
import type { ServerSnapshot, Snapshot } from "../snapshot.ts";

/** What a check looks at: one server, within all that is known. */
export interface CheckInput {
  readonly server: ServerSnapshot;
  readonly snapshot: Snapshot;
  /** A metric of that server, summed over its series; undefined when it has none. */
  readonly value: (metric: string) => number | undefined;
  /** A setting as PostgreSQL prints it. */
  readonly setting: (name: string) => string | undefined;
}

/** One recommendation or remark, from one snapshot alone. Pure. */
export type Check = (input: CheckInput) => readonly Finding[];
