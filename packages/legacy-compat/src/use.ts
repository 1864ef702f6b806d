import { fileURLToPath } from "node:url";
import { type OldName, successors, warningCodeOf } from "./successor.ts";

/** One place that uses an old name. */
export interface CallSite {
  /** `/srv/app/bills.ts:12:7`. */
  readonly location: string;
  /** Uses seen there. Of a name used often only a sample is located: see `CompatReport`. */
  readonly uses: number;
}

/** An old name that this process used. */
export interface OldNameUse {
  readonly name: OldName;
  readonly successor: string;
  /** Code of its deprecation warning, for `--disable-warning=CODE`. */
  readonly code: string;
  readonly uses: number;
  /** ISO 8601. */
  readonly firstUsedAt: string;
  /** Most used first, at most 100. */
  readonly sites: readonly CallSite[];
}

/**
 * Which old names this process used, how often and from where. The first 100 uses of a name are all located, of the
 * later ones each thousandth.
 */
export interface CompatReport {
  readonly names: readonly OldNameUse[];
  /** Copies of this package in this process; more than one means as many sets of singletons. */
  readonly copies: number;
}

interface Registry {
  readonly uses: Map<OldName, { count: number; firstUsedAt: string; sites: Map<string, number> }>;
  readonly copies: Set<string>;
}

const located = 100;
const sampledEvery = 1_000;
const mostSites = 100;
const here = fileURLToPath(new URL(".", import.meta.url));

/** Counts a use, and warns at the first one in this process. */
export function recordUse(name: OldName): void {
  const registry = processRegistry();
  let use = registry.uses.get(name);
  if (!use) {
    registry.uses.set(name, (use = { count: 0, firstUsedAt: new Date().toISOString(), sites: new Map() }));
    warn(`${name} is an old name; use ${successors[name]}`, warningCodeOf(name));
  }
  use.count += 1;
  if (use.count > located && use.count % sampledEvery !== 0) return;
  const site = callSite();
  if (site !== undefined && (use.sites.has(site) || use.sites.size < mostSites)) {
    use.sites.set(site, (use.sites.get(site) ?? 0) + 1);
  }
}

/** Tells which old names this process used so far. Opens nothing. */
export function compatReport(): CompatReport {
  const { uses, copies } = processRegistry();
  const names = [...uses].map(([name, { count, firstUsedAt, sites }]) => ({
    name,
    successor: successors[name],
    code: warningCodeOf(name),
    uses: count,
    firstUsedAt,
    sites: [...sites].map(([location, seen]) => ({ location, uses: seen })).toSorted((a, b) => b.uses - a.uses),
  }));
  return { names: names.toSorted((a, b) => a.name.localeCompare(b.name)), copies: copies.size };
}

/** A warning that the usual switches of Node silence: `--no-deprecation`, `--disable-warning`. */
export function warn(message: string, code: string): void {
  process.emitWarning(message, { type: "DeprecationWarning", code });
}

/** One per process, whatever number of copies of this package there are in it. */
function processRegistry(): Registry {
  const shared = globalThis as { [key: symbol]: Registry | undefined };
  const registry = (shared[registryKey] ??= { uses: new Map(), copies: new Set() });
  if (!registry.copies.has(here)) {
    registry.copies.add(here);
    if (registry.copies.size === 2) {
      const where = [...registry.copies].join(" and ");
      warn(`two copies of @db/legacy-compat run in this process, each with its own pool: ${where}`, "DB_LEGACY_COPIES");
    }
  }
  return registry;
}

const registryKey = Symbol.for("@db/legacy-compat/uses");

/** The first frame outside of this package. */
function callSite(): string | undefined {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 12;
  const { stack = "" } = new Error("call site");
  Error.stackTraceLimit = limit;
  for (const line of stack.split("\n").slice(1)) {
    const place = /(?:\(|at (?:async )?)((?:file:\/\/|\/|[A-Za-z]:[\\/])[^()]*:\d+:\d+)\)?$/.exec(line)?.[1];
    if (place === undefined) continue;
    const path = place.startsWith("file://") ? readablePath(place) : place;
    if (!path.startsWith(here)) return path;
  }
  return undefined;
}

function readablePath(url: string): string {
  const [, file = url, position = ""] = /^(.*?)(:\d+:\d+)$/.exec(url) ?? [];
  return fileURLToPath(file) + position;
}
