import type { Outcome } from "./benchmark.ts";
import { percentile } from "./statistics.ts";

/** Every call of a load, by whether its answer was right. */
export interface CallTally {
  readonly right: number;
  readonly wrong: number;
}

/**
 * Makes `calls` calls, `callers` of them at a time: each caller makes its next call when its last one is answered.
 * @returns the tally, with percentiles of the latencies of those calls that are `timed`: all, unless it says otherwise
 */
export async function makeCalls(
  load: {
    readonly callers: number;
    readonly calls: number;
    readonly timed?: (number: number) => boolean;
  },
  /** Tells whether the answer was right. Its number is 0 and up. */
  call: (number: number) => Promise<boolean>,
): Promise<Outcome<CallTally>> {
  const latencies = new Float64Array(load.calls);
  let next = 0;
  let right = 0;
  const caller = async (): Promise<void> => {
    while (next < load.calls) {
      const number = next;
      next += 1;
      const began = performance.now();
      if (await call(number)) right += 1;
      latencies[number] = performance.now() - began;
    }
  };
  await Promise.all(Array.from({ length: load.callers }, caller));
  const { timed } = load;
  const counted = timed ? latencies.filter((_, number) => timed(number)) : latencies;
  return {
    operations: load.calls,
    answer: { right, wrong: load.calls - right },
    facts: {
      p50_us: Math.round(percentile(counted, 0.5) * 1_000),
      p99_us: Math.round(percentile(counted, 0.99) * 1_000),
    },
  };
}

/** Says what is wrong with a tally. */
export function checkTally({ answer, operations }: Outcome<CallTally>): string | undefined {
  return answer.right === operations ? undefined : `${answer.wrong} of ${operations} calls`;
}
