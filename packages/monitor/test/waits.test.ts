import { describe, expect, test } from "vitest";
import { WaitRing, type WaitSample } from "../src/waits/waits.ts";

const sample = (type: string, event: string, sessions: number, queryId = ""): WaitSample => ({
  database: "app",
  type,
  event,
  queryId,
  sessions,
});

describe("a ring of samples", () => {
  test("gives the load of each span, and nothing for spans without a sample", () => {
    const ring = new WaitRing({ intervalMs: 1_000, keepMs: 60_000 });
    ring.add(0, [sample("CPU", "", 2)]);
    ring.add(1_000, [sample("CPU", "", 1), sample("Lock", "transactionid", 3)]);
    ring.add(20_000, []);
    expect(ring.spans({ from: 0, to: 30_000, stepMs: 10_000 })).toEqual([
      {
        at: 0,
        load: [
          { type: "CPU", event: "", sessions: 1.5 },
          { type: "Lock", event: "transactionid", sessions: 1.5 },
        ],
      },
      { at: 20_000, load: [] },
    ]);
  });

  test("ranks statements by the sessions in them, with what they wait for", () => {
    const ring = new WaitRing({ intervalMs: 1_000, keepMs: 60_000 });
    ring.add(0, [sample("CPU", "", 1, "1"), sample("Lock", "tuple", 3, "2"), sample("CPU", "", 9)]);
    ring.add(1_000, [sample("CPU", "", 1, "1")]);
    expect(ring.queries({ from: 0, to: 2_000 })).toEqual([
      { database: "app", queryId: "2", sessions: 1.5, waits: [{ type: "Lock", event: "tuple", sessions: 1.5 }] },
      { database: "app", queryId: "1", sessions: 1, waits: [{ type: "CPU", event: "", sessions: 1 }] },
    ]);
  });

  test("forgets what is older than it keeps, and counts on", () => {
    const ring = new WaitRing({ intervalMs: 2_000, keepMs: 4_000 });
    for (let i = 0; i < 5; i++) ring.add(i * 2_000, [sample("CPU", "", 1)]);
    expect(ring.spans({ from: 0, to: 10_000, stepMs: 2_000 }).map(({ at }) => at)).toEqual([6_000, 8_000]);
    const [seconds, samples] = ring.tables();
    expect(seconds?.rows).toEqual([{ labels: ["app", "CPU", ""], values: [10] }]);
    expect(samples?.rows).toEqual([{ labels: [], values: [5] }]);
  });
});
