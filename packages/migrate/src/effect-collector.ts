import { type LockMode, lockModes, type TableLock } from "./table-lock.ts";
import { type RelationName, splitQualified, type WorkingCatalog } from "./working-catalog.ts";

/** What a statement does to existing tables, predicted from its tree and the catalog before it. */
export interface StatementEffects {
  /** The strongest lock on each table, those made by the plan left out. */
  readonly locks: readonly TableLock[];
  /** Tables written anew while locked. */
  readonly rewrites: readonly string[];
  /** Tables read in full to verify a constraint. */
  readonly scans: readonly string[];
  /** Tables an index is built on. */
  readonly indexBuilds: readonly string[];
  /** True for DO, CALL and the like: what they do cannot be read off the SQL. */
  readonly opaque: boolean;
}

/** Collects effects and keeps the strongest lock of each table. */
export class EffectCollector {
  readonly catalog: WorkingCatalog;
  readonly #locks = new Map<string, LockMode>();
  readonly #rewrites = new Set<string>();
  readonly #scans = new Set<string>();
  readonly #builds = new Set<string>();
  #opaque = false;

  constructor(catalog: WorkingCatalog) {
    this.catalog = catalog;
  }

  lock(name: RelationName | undefined, mode: LockMode): void {
    const relation = this.#existing(name);
    if (relation === null) return;
    const held = this.#locks.get(relation);
    if (held === undefined || lockModes.indexOf(mode) > lockModes.indexOf(held)) this.#locks.set(relation, mode);
  }

  /** Locks a table known by its qualified name. */
  lockQualified(qualified: string, mode: LockMode): void {
    this.lock(splitQualified(qualified), mode);
  }

  rewrite(name: RelationName | undefined): void {
    const relation = this.#existing(name);
    if (relation !== null) this.#rewrites.add(relation);
  }

  scan(name: RelationName | undefined): void {
    const relation = this.#existing(name);
    if (relation !== null) this.#scans.add(relation);
  }

  build(name: RelationName | undefined): void {
    const relation = this.#existing(name);
    if (relation !== null) this.#builds.add(relation);
  }

  opaque(): void {
    this.#opaque = true;
  }

  result(): StatementEffects {
    return {
      locks: [...this.#locks].map(([relation, mode]) => ({ relation, mode })),
      rewrites: [...this.#rewrites],
      // A rewrite reads every row anyway: the verification rides on it.
      scans: [...this.#scans].filter((relation) => !this.#rewrites.has(relation)),
      indexBuilds: [...this.#builds],
      opaque: this.#opaque,
    };
  }

  #existing(name: RelationName | undefined): string | null {
    if (!name?.relname) return null;
    return this.catalog.table(name)?.fresh ? null : this.catalog.qualify(name);
  }
}
