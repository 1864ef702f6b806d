import { describe, expect, test } from "vitest";
import { electPrimary } from "./election.ts";
import { type Election, noElection, type ServerView } from "./observation.ts";

function view(
  name: string,
  of: Partial<ServerView> & { recovery?: boolean; timeline?: number; cluster?: string },
): ServerView {
  const { recovery = false, timeline = 1, cluster = "c1", ...rest } = of;
  const observation = {
    at: 0,
    tookMs: 1,
    readOnly: false,
    inRecovery: recovery,
    serverVersion: 180_000,
    systemIdentifier: cluster,
    timeline,
    lsn: "0/1",
  };
  return {
    name,
    configuredRole: "replica",
    reachable: true,
    observation,
    wasStandby: recovery,
    failure: undefined,
    ...rest,
  };
}
const bound = (primary: string, timeline = 1): Election => ({
  primary,
  timeline,
  refusals: [],
  systemIdentifier: "c1",
});

describe("electPrimary", () => {
  test("takes the one that accepts writes, whatever it was configured as", () => {
    const views = [view("a", { configuredRole: "primary", recovery: true }), view("b", {})];
    expect(electPrimary(views, noElection)).toMatchObject({ primary: "b", refusals: [], timeline: 1 });
  });

  test("has none while all are in recovery or away", () => {
    const views = [view("a", { reachable: false }), view("b", { recovery: true })];
    expect(electPrimary(views, noElection).primary).toBeUndefined();
  });

  test("follows a promotion it saw and fences the old primary, on whichever side that still writes", () => {
    const views = [view("a", {}), view("b", { timeline: 2, wasStandby: true })];
    const election = electPrimary(views, bound("a"));
    expect(election).toMatchObject({ primary: "b", timeline: 2 });
    expect(election.refusals).toMatchObject([{ server: "a", reason: "old-primary" }]);
  });

  test("keeps the old primary out when it returns on its old timeline, even while it is alone", () => {
    const back = [view("a", {}), view("b", { reachable: false })];
    const election = electPrimary(back, bound("b", 2));
    expect(election.primary).toBeUndefined();
    expect(election.refusals[0]).toMatchObject({
      reason: "old-primary",
      seen: "writes on timeline 1, the cluster is on 2",
    });
  });

  test("refuses both of two writable servers at the start, and says what each is", () => {
    const election = electPrimary([view("a", { configuredRole: "primary" }), view("b", { timeline: 2 })], noElection);
    expect(election.primary).toBeUndefined();
    expect(election.refusals.map(({ seen }) => seen)).toEqual([
      "writes on timeline 1 while another does: b on 2",
      "writes on timeline 2 while another does: a on 1",
    ]);
  });

  test("keeps the primary at work when another appears that nobody saw promoted", () => {
    const election = electPrimary([view("a", {}), view("b", { timeline: 2 })], bound("a"));
    expect(election.primary).toBe("a");
    expect(election.refusals).toMatchObject([{ server: "b", reason: "second-primary" }]);
  });

  test("settles nothing between two promotions on one timeline", () => {
    const twins = [view("b", { timeline: 2, wasStandby: true }), view("c", { timeline: 2, wasStandby: true })];
    expect(electPrimary(twins, bound("a")).primary).toBeUndefined();
  });

  test("refuses a server of another cluster, by the identity of the configured primary", () => {
    const views = [view("b", { cluster: "c2" }), view("a", { configuredRole: "primary" })];
    expect(electPrimary(views, noElection)).toMatchObject({
      primary: "a",
      refusals: [{ server: "b", reason: "foreign-cluster", seen: "belongs to cluster c2, not c1" }],
    });
  });
});
