/**
 * What a read on a replica sees. `eventual`: whatever the replica has, within the limits of lag. `session`: everything
 * written through the same session, or through the pool where there is none. `strong`: everything that was committed
 * anywhere before the read began.
 */
export type Consistency = "eventual" | "session" | "strong";

export const consistencies: readonly Consistency[] = ["eventual", "session", "strong"];
