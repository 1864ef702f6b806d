import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | undefined;

/** Collects garbage now, so that a run does not pay for what the one before it left. */
export function collectGarbage(): void {
  if (collect === undefined) {
    // The function is not there unless asked for; a new context is made with the flags of its time.
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
}
