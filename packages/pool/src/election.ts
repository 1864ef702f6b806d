import type { Election, Refusal, RefusalReason, ServerView } from "./observation.ts";

/**
 * Decides which server is the primary. Pure: the same views give the same answer.
 *
 * - All servers must belong to one cluster (system identifier); the configured primary's is the one that counts.
 * - A standby promoted under our eyes takes over, by its higher timeline; the old primary is fenced from then on,
 *   even when it comes back writable.
 * - Two writable servers with no promotion seen are refused with the evidence rather than guessed about. While one
 *   of them already serves, it goes on serving.
 */
export function electPrimary(views: readonly ServerView[], before: Election): Election {
  const refusals: Refusal[] = [];
  const systemIdentifier = before.systemIdentifier ?? identityOf(views);
  const known = views.filter((view) => {
    const identity = view.observation?.systemIdentifier;
    if (!systemIdentifier || !identity || identity === systemIdentifier) return true;
    refuse(refusals, view, "foreign-cluster", `belongs to cluster ${identity}, not ${systemIdentifier}`);
    return false;
  });
  const writable = known.filter(({ reachable, observation }) => reachable && observation?.inRecovery === false);
  const primary = choose(writable, before, refusals);
  const timeline = Math.max(before.timeline ?? 0, primary?.observation?.timeline ?? 0) || undefined;
  return { primary: primary?.name, refusals, systemIdentifier, timeline };
}

/** The primary is the one that was named: for addresses that lead to whichever server has the role. */
export function trustNames(views: readonly ServerView[], before: Election): Election {
  const primary = views.find(({ configuredRole }) => configuredRole === "primary");
  const seen = primary?.observation;
  return {
    primary: primary?.name,
    refusals: [],
    systemIdentifier: seen?.systemIdentifier ?? before.systemIdentifier,
    timeline: seen?.timeline ?? before.timeline,
  };
}

function choose(writable: readonly ServerView[], before: Election, refusals: Refusal[]): ServerView | undefined {
  const current = writable.find(({ name }) => name === before.primary);
  const abreast = writable.filter((view) => {
    if (timelineOf(view) >= (before.timeline ?? 0)) return true;
    refuse(
      refusals,
      view,
      "old-primary",
      `writes on timeline ${timelineOf(view)}, the cluster is on ${before.timeline}`,
    );
    return false;
  });
  if (abreast.length <= 1) return abreast[0];
  const promoted = abreast
    .filter((view) => view.wasStandby && (!current || timelineOf(view) > timelineOf(current)))
    .sort((a, b) => timelineOf(b) - timelineOf(a));
  const [winner, rival] = promoted;
  // Two promotions on one timeline: a split brain that only an operator can settle.
  const seen = winner && (!rival || timelineOf(rival) < timelineOf(winner)) ? winner : current;
  // What nobody saw happen, the provider of the topology may know.
  const chosen = seen ?? abreast.find(({ named }) => named);
  for (const view of abreast) {
    if (view === chosen) continue;
    const others = abreast.filter((other) => other !== view).map((other) => `${other.name} on ${timelineOf(other)}`);
    const fenced = chosen !== undefined && timelineOf(view) < timelineOf(chosen);
    const evidence = `writes on timeline ${timelineOf(view)} while another does: ${others.join(", ")}`;
    refuse(refusals, view, fenced ? "old-primary" : "second-primary", evidence);
  }
  return chosen;
}

function identityOf(views: readonly ServerView[]): string | undefined {
  const answering = views.filter(({ observation }) => observation?.systemIdentifier !== undefined);
  const trusted = answering.find(({ configuredRole }) => configuredRole === "primary") ?? answering[0];
  return trusted?.observation?.systemIdentifier;
}

function timelineOf({ observation }: ServerView): number {
  return observation?.timeline ?? 0;
}

function refuse(refusals: Refusal[], { name }: ServerView, reason: RefusalReason, seen: string): void {
  refusals.push({ server: name, reason, seen });
}
