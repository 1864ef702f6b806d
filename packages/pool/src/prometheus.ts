import type { Registry } from "prom-client";
import { collectPoolMetrics, type PoolMetric } from "./metrics.ts";
import type { PoolStats } from "./stats.ts";

/** What of a pool is measured. */
interface Measured {
  readonly pool: { stats(): PoolStats };
  readonly name: string;
}

/** OpenTelemetry's `db.client.connection.pool.name`. */
const poolLabel = "db_client_connection_pool_name";

/** The pools each registry measures; the first one registers the metrics, the others join them. */
const measured = new WeakMap<object, Set<Measured>>();

/**
 * Adds a pool's metrics to a prom-client registry, under OpenTelemetry's names and the label
 * `db_client_connection_pool_name`. Nothing is counted twice or on a timer: the numbers are read when the registry is.
 * Several pools may share a registry, each under a name of its own.
 * @returns to be disposed when the pool is gone for good
 */
export function registerPoolMetrics(
  registry: Pick<Registry, "registerMetric" | "removeSingleMetric">,
  pool: { stats(): PoolStats },
  { name = "default" }: { readonly name?: string } = {},
): Disposable {
  const pools = measured.get(registry) ?? new Set();
  const entry: Measured = { pool, name };
  if (pools.size === 0) {
    for (const metric of collectPoolMetrics(pool)) {
      registry.registerMetric(new RegistryMetric(metric, pools) as never);
    }
  }
  pools.add(entry);
  measured.set(registry, pools);
  return {
    [Symbol.dispose]: () => {
      if (!pools.delete(entry) || pools.size > 0) return;
      for (const { name: metric } of collectPoolMetrics(pool)) registry.removeSingleMetric(metric);
    },
  };
}

interface Value {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One metric in the shape a registry reads: prom-client's own counters can only be counted up, not set. */
class RegistryMetric {
  /** Not readonly: a registry of OpenMetrics takes `_total` off and puts it on again itself. */
  name: string;
  readonly #source: string;
  readonly #pools: ReadonlySet<Measured>;
  readonly help: string;
  readonly type: PoolMetric["type"];
  readonly aggregator = "sum";

  constructor({ name, help, type }: PoolMetric, pools: ReadonlySet<Measured>) {
    this.name = name;
    this.help = help;
    this.type = type;
    this.#source = name;
    this.#pools = pools;
  }

  get(): Promise<object> {
    const found = Array.from(this.#pools, ({ pool, name }) => ({
      pool: name,
      metric: collectPoolMetrics(pool).find((metric) => metric.name === this.#source)!,
    }));
    const { help, type } = this;
    const values = found.flatMap(({ pool, metric }) => valuesOf(metric, this.name, { [poolLabel]: pool }));
    return Promise.resolve({ name: this.name, help, type, values, aggregator: this.aggregator });
  }

  reset(): void {
    // The pool keeps its own counts.
  }
}

function valuesOf(metric: PoolMetric, name: string, shared: Readonly<Record<string, string>>): Value[] {
  if (metric.type !== "histogram") {
    return metric.samples.map(({ labels, value }) => ({ labels: { ...shared, ...labels }, value }));
  }
  return metric.samples.flatMap(({ labels: own, buckets, sum, count }) => {
    const labels = { ...shared, ...own };
    return [
      ...buckets.map(({ le, count: value }) => ({
        metricName: `${name}_bucket`,
        labels: { ...labels, le: le === Infinity ? "+Inf" : String(le) },
        value,
      })),
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  });
}
